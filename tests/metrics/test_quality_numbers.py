"""Shape and trend are the numbers that SDMetrics 0.32's QualityReport printed for these tables, thresholds at 0."""

import numpy as np
import pytest

from sansheng.metrics.table import TableErrors, table_errors
from small_tables import clinic, ledger

UNDEFINED = float("nan")
CLINIC = {
    "overall": (0.883177, 0.884644),
    "columns": [0.810000, 0.657226, 0.850162, 0.940433, 0.879167, 0.928426, 1.0, 1.0],
    "pairs": [
        *(0.895274, 0.963456, 0.976571, 0.810833, 0.784583, 0.818750, UNDEFINED),
        *(0.977882, 0.972427, 0.800000, 0.797917, 0.845417, UNDEFINED),
        *(0.985436, 0.842917, 0.845000, 0.915000, UNDEFINED),
        *(0.838750, 0.826250, 0.898750, UNDEFINED),
        *(0.862917, 0.879167, 0.879167),
        *(0.907500, 0.907500, 1.0),
    ],
}
LEDGER = {
    "overall": (0.842487, 0.545088),
    "columns": [0.959429, 0.951429, 0.895714, 0.984362, 0.711429, 0.484000, 0.911048],
    "pairs": [
        *(0.992383, 0.747714, 0.828857, 0.655429, UNDEFINED, 0.942621),
        *(0.860571, 0.904857, 0.594571, UNDEFINED, 0.936005),
        *(0.877143, 0.623429, 0.0, 0.083429),
        *(0.624286, 0.0, 0.090571),
        *(0.0, 0.049714, UNDEFINED),
    ],
}


def of_clinic() -> TableErrors:
    return table_errors(clinic(800, 0), clinic(600, 1, 0.5))


def of_ledger() -> TableErrors:
    return table_errors(ledger(500, 3, synthetic=False), ledger(700, 4, synthetic=True))


@pytest.mark.parametrize(
    ("errors", "printed"), [(of_clinic(), CLINIC), (of_ledger(), LEDGER)], ids=["clinic", "ledger"]
)
def test_the_numbers_are_those_that_the_quality_report_prints(errors: TableErrors, printed: dict) -> None:
    def scores(values: object) -> np.ndarray:
        return 1 - np.array(list(values), dtype=float) / 100  # pyright: ignore[reportArgumentType]

    np.testing.assert_allclose(scores([errors.shape, errors.trend]), printed["overall"], atol=1e-5)
    np.testing.assert_allclose(scores(errors.columns.values()), printed["columns"], atol=1e-5)
    np.testing.assert_allclose(scores(errors.pairs.values()), printed["pairs"], atol=1e-5)


def test_what_that_report_leaves_out_is_counted_apart() -> None:
    """90 points more missing in `rate`, which its own score does not show."""
    found = of_ledger()
    assert found.missing["rate"] == pytest.approx(90, abs=3)
    assert found.missing["late"] == pytest.approx(0, abs=5)
    assert found.missing_mean == pytest.approx(np.mean(list(found.missing.values())))
