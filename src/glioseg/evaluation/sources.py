"""The publications that define the metrics, as the reference prints them."""

from __future__ import annotations

DICE = "Dice LR. Measures of the amount of ecologic association between species. Ecology 26:297–302, 1945."
JACCARD = "Jaccard P. The distribution of the flora in the alpine zone. New Phytologist 11:37–50, 1912."
DIAGNOSIS = (
    "Yerushalmy J. Statistical problems in assessing methods of medical diagnosis. Public Health Reports "
    "62:1432–1449, 1947."
)
RETRIEVAL = "van Rijsbergen CJ. Information Retrieval, 2nd ed., chapter 7. Butterworths, 1979."
HAUSDORFF = (
    "Huttenlocher DP, Klanderman GA, Rucklidge WJ. Comparing images using the Hausdorff distance. IEEE "
    "TPAMI 15:850–863, 1993."
)
SURFACE_MEAN = (
    "Heimann T et al. Comparison and evaluation of methods for liver segmentation from CT datasets. IEEE "
    "TMI 28:1251–1265, 2009."
)
SURFACE_DICE = (
    "Nikolov S et al. Clinically applicable segmentation of head and neck anatomy for radiotherapy. J "
    "Med Internet Res 23:e26151, 2021."
)
BRATS = "Moawad AW et al. The Brain Tumor Segmentation (BraTS-METS) challenge 2023. arXiv:2306.00838."
ROC = "Fawcett T. An introduction to ROC analysis. Pattern Recognition Letters 27:861–874, 2006."
AVERAGE_PRECISION = "Boyd K, Eng KH, Page CD. Area under the precision-recall curve. ECML PKDD 451–466, 2013."
BRIER = "Brier GW. Verification of forecasts expressed in terms of probability. Monthly Weather Review 78:1–3, 1950."
CALIBRATION = (
    "Naeini MP, Cooper GF, Hauskrecht M. Obtaining well calibrated probabilities using Bayesian binning. "
    "AAAI 2901–2907, 2015."
)
BALANCED = "Brodersen KH et al. The balanced accuracy and its posterior distribution. ICPR 3121–3124, 2010."
LOG_LOSS = "Good IJ. Rational decisions. J R Stat Soc B 14:107–114, 1952."
