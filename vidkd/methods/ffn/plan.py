"""FFN and its baselines: runs, and what each step of them reads."""

from __future__ import annotations

from typing import Any, ClassVar

from vidkd.config.base import Section
from vidkd.config.training import is_weights_file
from vidkd.methods.base import Figure, Method, MethodSettings, Table
from vidkd.methods.ffn.settings import FFNExperiment, FFNSettings
from vidkd.methods.needs import Needs

_TFD = (
    "Accuracy on the test split over the number of frames that the network sees. A network trained at "
    "one frame count falls away from it (temporal frequency deviation); the Frame Flexible Network "
    "should not."
)


class FFN(Method):
    """Variants of the Frame Flexible Network, and ensembles of them."""

    NAME: ClassVar[str] = "ffn"
    TITLE: ClassVar[str] = "Frame Flexible Network"
    SECTION: ClassVar[type[MethodSettings]] = FFNExperiment
    RECIPE: ClassVar[type[Section]] = FFNSettings
    ABSENT: ClassVar[str] = "set `ffn.variants`"
    TABLES: ClassVar[tuple[str, ...]] = ("tfd", "any_frame")
    REPORTED: ClassVar[tuple[str, ...]] = ("tfd", "any_frame")
    EVALUATE: ClassVar[str] = "table:figures"
    MEASURE: ClassVar[str] = "predict:parts"
    BY_HAND: ClassVar[str] = "by_hand:seed_options"
    SHARED: ClassVar[bool] = True

    own: FFNExperiment

    def trained(self) -> list[str]:
        """Every variant."""
        return list(self.own.variants)

    def runs(self) -> list[str]:
        """Every variant, then the ensembles of them."""
        return [*self.own.variants, *self.own.ensembles]

    def settings_of(self, run: str) -> FFNSettings:
        """The complete settings of a variant."""
        variant: FFNSettings = self.own.variant(run)
        return variant

    def work(self, run: str) -> int:
        """Frames that a training sees of a video."""
        variant = self.settings_of(run)
        return variant.epochs * sum(variant.frame_counts)

    def train_needs(self, run: str, seed: int | str) -> Needs:
        """Frames, and the weights that a variant starts from: of another variant, or a file."""
        variant = self.settings_of(run)
        init, start = variant.init_from, variant.weights
        results = {"init": (self.of_run(init, seed).weights,)} if init else {}
        results |= {"start": (start,)} if start and is_weights_file(start) else {}
        frames = self.plan.frames("train", "val")
        return Needs(frames=frames, classes=self.classes, results=results)

    def predict_needs(self, run: str, seed: int | str) -> Needs:
        """Frames, and the network, or each member of an ensemble."""
        members = self.own.ensembles.get(run, (run,))
        weights = {name: (self.of_run(name, seed).weights,) for name in members}
        return Needs(frames=self.plan.frames("test"), weights=weights)

    def prediction_settings(self) -> dict[str, Any]:
        """Frame counts."""
        return self.own.predict.model_dump(mode="json")

    @property
    def baseline(self) -> str | None:
        """The variant of separate training at the largest count of the table."""
        return self.own.tfd.separate.get(max(self.own.tfd.report_counts))

    def measure_needs(self) -> Needs:
        """The networks of the first seed; an ensemble has several."""
        seed = self.plan.seeds[0]
        members = {name: (name,) for name in self.own.variants} | self.own.ensembles
        weights = {name: tuple(self.of_run(one, seed).weights for one in of) for name, of in members.items()}
        return Needs(weights=weights)

    def measure_settings(self) -> dict[str, Any]:
        """Frames of the clip: the most that have scores."""
        return {"frames": max(self.own.predict.score_counts, default=self.own.predict.max_count)}

    def tables(self) -> dict[str, Table]:
        """Accuracy at the reported frame counts, and at every count."""
        needs, settings = (
            Needs(results={"metrics": self.every("metrics")}),
            self.own.tfd.model_dump(mode="json"),
        )
        makers = {"tfd": "tabulate_tfd", "any_frame": "tabulate_any_frame"}
        return {
            name: Table(
                path=self.table_path(name),
                make=f"vidkd.methods.ffn.table:{maker}",
                needs=needs,
                settings=settings,
            )
            for name, maker in makers.items()
        }

    def figures(self) -> dict[str, Figure]:
        """Accuracy over the number of frames."""
        needs = Needs(results={"table": (self.table_path("any_frame"),)})
        return {"tfd": Figure(draw="vidkd.methods.ffn.figures:draw_tfd", needs=needs, caption=_TFD)}
