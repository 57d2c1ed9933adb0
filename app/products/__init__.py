"""Decision thresholds learnt from good parts, where they are kept, and whether they still fit.

Knows scores and files; knows neither pictures, nor models, nor HTTP.
"""
