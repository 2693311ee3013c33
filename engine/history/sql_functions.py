"""Functions an analyst's statement may call; every other one is refused.

Left out on purpose: whatever reaches files, settings, the environment or the catalogue, and
whatever makes much out of little (`repeat`, `lpad`, `range` as a list, `string_agg`, `list`).
Measured: one ``repeat('x', 2000000000)`` took 4 GB beside DuckDB's memory limit and could not
be interrupted for a minute.
"""

from __future__ import annotations


def names(text: str) -> frozenset[str]:
    """Return the words of `text`."""
    return frozenset(text.split())


OPERATORS = names("+ - * / // % ^ ** & | ~ << >> ~~ !~~ ~~* !~~* ^@ || -> ->> !")

AGGREGATES = names(
    """any_value approx_count_distinct approx_quantile arg_max arg_max_null arg_min arg_min_null
    avg bit_and bit_or bit_xor bool_and bool_or corr count count_if count_star countif
    covar_pop covar_samp entropy favg first fsum kurtosis kurtosis_pop last mad max max_by
    mean median min min_by mode product quantile quantile_cont quantile_disc regr_avgx
    regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy sem
    skewness stddev stddev_pop stddev_samp sum sum_no_overflow sumkahan var_pop var_samp
    variance"""
)

WINDOWS = names(
    """cume_dist dense_rank fill first_value lag last_value lead nth_value ntile percent_rank
    rank rank_dense row_number"""
)

NUMBERS = names(
    """abs acos add asin atan atan2 bit_count cbrt ceil ceiling cos cot degrees divide even exp
    floor fmod greatest isfinite isinf isnan least ln log log10 log2 mod multiply pi pow power
    radians round round_even sign signbit sin sqrt subtract tan trunc xor"""
)

TIMES = names(
    """age century current_date current_localtimestamp date_add date_diff
    date_part date_sub date_trunc datediff datepart datesub datetrunc day dayname dayofmonth
    dayofweek dayofyear decade epoch epoch_ms epoch_us get_current_timestamp hour isodow
    isoyear last_day make_date make_time make_timestamp millisecond minute month monthname now
    quarter second strftime strptime time_bucket timezone to_days to_hours to_milliseconds
    to_minutes to_months to_seconds to_timestamp to_weeks to_years today try_strptime week
    weekday weekofyear year yearweek"""
)

WORDS = names(
    """contains ends_with ilike_escape instr left length like_escape lower ltrim not_ilike_escape
    not_like_escape position prefix regexp_extract regexp_full_match regexp_matches right
    rtrim split_part starts_with strlen strpos substr substring suffix trim upper"""
)

OTHERS = names(
    """array_extract array_slice coalesce if ifnull json_array_length json_exists json_extract
    json_extract_string json_keys json_type json_valid json_value len list_avg list_contains
    list_element list_extract list_max list_min list_position list_slice list_sum nullif
    struct_extract typeof unnest"""
)

BUILDERS = frozenset({"||", "concat", "concat_ws", "list_value", "row", "struct_pack"})
"""Functions that put values together; their number in one statement is limited."""

ALLOWED = OPERATORS | AGGREGATES | WINDOWS | NUMBERS | TIMES | WORDS | OTHERS | BUILDERS
"""Every function that may be called."""

TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest"})
"""Functions that may stand in FROM."""
