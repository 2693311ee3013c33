"""The analytics page: results of a period, explored data, the optimiser's runs, SQL."""
