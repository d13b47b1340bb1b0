"""Dates and times: spellings, zones, the ends of the calendar, the end of a day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from math import inf

import pytest
from harness.strategies import ZONES, instants, walls
from hypothesis import given
from hypothesis import strategies as st

from sseapp.errors import BadParameterError
from sseapp.tables import gregorian_calendar, time_zones
from sseapp.tables.column_types import column_type
from sseapp.tables.table import Column
from sseapp.tables.time_types import MAX_DATE, MAX_TIMESTAMP, MIN_DATE, MIN_TIMESTAMP

SECOND = 1_000_000


def type_of(base):
    return column_type(Column("v", base, base))


def text(base, written, tz="UTC"):
    return type_of(base).literal(written, tz=time_zones.zone(tz), parameter="v").text


@pytest.mark.parametrize(
    ("base", "written", "tz", "canonical"),
    [
        ("timestamptz", "2026-01-31", "UTC", "2026-01-31T00:00:00+00:00"),
        ("timestamptz", "2026-01-31", "Europe/Berlin", "2026-01-30T23:00:00+00:00"),
        ("timestamptz", "2026-07-31", "Europe/Berlin", "2026-07-30T22:00:00+00:00"),
        ("timestamptz", "2026-01-31 12:30", "UTC", "2026-01-31T12:30:00+00:00"),
        ("timestamptz", "2026-01-31t12:30:15.5z", "Europe/Berlin", "2026-01-31T12:30:15.5+00:00"),
        ("timestamptz", "2026-01-01T00:00:00 02:00", "UTC", "2025-12-31T22:00:00+00:00"),
        ("timestamptz", "2026-01-01T00:00:00+02", "UTC", "2025-12-31T22:00:00+00:00"),
        ("timestamptz", "2026-01-01T00:00:00-0330", "UTC", "2026-01-01T03:30:00+00:00"),
        ("timestamptz", "2026-01-01T00:00:00+00:53:28", "UTC", "2025-12-31T23:06:32+00:00"),
        ("timestamptz", "2026-01-01T24:00", "UTC", "2026-01-02T00:00:00+00:00"),
        ("timestamptz", "0044-03-15 BC", "UTC", "0044-03-15T00:00:00+00:00 BC"),
        ("timestamptz", "0044-03-15T12:00:00Z bc", "UTC", "0044-03-15T12:00:00+00:00 BC"),
        ("timestamptz", "10000-01-01", "UTC", "10000-01-01T00:00:00+00:00"),
        ("timestamptz", "20000-07-01", "Europe/Berlin", "20000-06-30T22:00:00+00:00"),
        ("timestamptz", "0044-03-15 BC", "Europe/Berlin", "0044-03-14T23:06:32+00:00 BC"),
        ("timestamptz", " Infinity", "UTC", "infinity"),
        ("timestamp", "2026-01-31", "Europe/Berlin", "2026-01-31T00:00:00"),
        ("timestamp", "2026-01-31T12:00:00Z", "Europe/Berlin", "2026-01-31T13:00:00"),
        ("timestamp", "-infinity", "UTC", "-infinity"),
        ("date", "2026-01-31", "Asia/Kathmandu", "2026-01-31"),
        ("date", "0001-02-29 BC", "UTC", "0001-02-29 BC"),
        ("date", "INFINITY", "UTC", "infinity"),
        ("time", "12:30", "UTC", "12:30:00"),
        ("time", "24:00:00", "UTC", "24:00:00"),
        ("time", "12:30:15.500", "UTC", "12:30:15.5"),
    ],
)
def test_spellings(base, written, tz, canonical):
    assert text(base, written, tz) == canonical


@pytest.mark.parametrize(
    ("base", "written", "hint"),
    [
        ("timestamptz", "yesterday", "a date or a timestamp such as"),
        ("timestamptz", "2026-02-30", "day"),
        ("timestamptz", "2026-13-01", "month"),
        ("timestamptz", "0000-01-01", "there is no year 0"),
        ("timestamptz", "2026-01-01T24:01", "no such time of day"),
        ("timestamptz", "2026-01-01T23:60", "no such time of day"),
        ("timestamptz", "2026-01-01T23:59:60", "no such time of day"),
        ("timestamptz", "2026-01-01T00:00+16:00", "no such offset"),
        ("timestamptz", "2026-01-01T00:00+01:60", "no such offset"),
        ("timestamptz", "2026-01-01T00:00+01:00:60", "no such offset"),
        ("timestamptz", "2026-01-01T00:00:00.1234567", "a date or a timestamp such as"),
        ("timestamptz", "4714-11-23 BC", "from 4714-11-24 BC"),
        ("timestamptz", "294277-01-01", "to the year 294276"),
        ("date", "2026-01-31T12:00", "a date such as"),
        ("date", "5874898-01-01", "to the year 5874897"),
        ("time", "noon", "a time such as"),
        ("time", "12:30+02:00", "a time such as"),
    ],
)
def test_a_refused_time_says_what_is_expected(base, written, hint):
    with pytest.raises(BadParameterError, match=hint):
        text(base, written)


@pytest.mark.parametrize(
    ("base", "written", "tz", "bound"),
    [
        # the 29th of March has 23 hours in Berlin, the 25th of October 25
        ("timestamptz", "2026-03-28", "Europe/Berlin", ("2026-03-28T23:00:00+00:00", False)),
        ("timestamptz", "2026-03-29", "Europe/Berlin", ("2026-03-29T22:00:00+00:00", False)),
        ("timestamptz", "2026-10-25", "Europe/Berlin", ("2026-10-25T23:00:00+00:00", False)),
        # there was no midnight: the clock went from 23:59:59 to 01:00
        ("timestamptz", "2018-11-03", "America/Sao_Paulo", ("2018-11-04T03:00:00+00:00", False)),
        # there were two: the day begins with the first
        ("timestamptz", "2025-11-01", "America/Havana", ("2025-11-02T04:00:00+00:00", False)),
        # a day that never was
        ("timestamptz", "2011-12-29", "Pacific/Apia", ("2011-12-30T10:00:00+00:00", False)),
        ("timestamptz", "0001-12-31 BC", "UTC", ("0001-01-01T00:00:00+00:00", False)),
        ("timestamptz", "2026-03-29T00:00:00Z", "Europe/Berlin", ("2026-03-29T00:00:00+00:00", True)),
        ("timestamptz", "infinity", "UTC", ("infinity", True)),
        ("timestamp", "2026-03-29", "Europe/Berlin", ("2026-03-30T00:00:00", False)),
        ("date", "2026-03-29", "Europe/Berlin", ("2026-03-29", True)),
        ("int4", "12", "UTC", ("12", True)),
    ],
)
def test_a_bare_date_as_the_end_means_to_the_end_of_that_day(base, written, tz, bound):
    literal, included = type_of(base).end_literal(written, tz=time_zones.zone(tz), parameter="end")
    assert (literal.text, included) == bound


def test_the_last_day_of_all_has_no_next():
    with pytest.raises(BadParameterError, match="to the year 294276"):
        type_of("timestamptz").end_literal("294276-12-31", tz=time_zones.UTC_ZONE, parameter="end")


@pytest.mark.parametrize("written", ["2026-02-30", "0000-01-01"])
def test_an_invalid_end_is_refused(written):
    with pytest.raises(BadParameterError):
        type_of("timestamptz").end_literal(written, tz=time_zones.UTC_ZONE, parameter="end")


@given(st.integers(MIN_DATE, MAX_DATE))
def test_days_and_dates_are_one_to_one(day):
    assert gregorian_calendar.day_number(*gregorian_calendar.year_month_day(day)) == day


@given(st.dates())
def test_within_the_standard_librarys_years_the_calendar_is_its_own(day):
    number = (day - date(1970, 1, 1)).days
    assert gregorian_calendar.day_number(day.year, day.month, day.day) == number
    assert gregorian_calendar.date_and_era(number) == (day.isoformat(), "")


@given(st.integers(MIN_DATE, MAX_DATE))
def test_a_stand_in_is_the_same_day_of_the_year_and_week_in_a_year_that_is_known(day):
    stand_in = gregorian_calendar.stand_in(day)
    assert gregorian_calendar.year_month_day(stand_in)[1:] == gregorian_calendar.year_month_day(day)[1:]
    assert (stand_in - day) % 7 == 0
    assert 2 <= gregorian_calendar.year_month_day(stand_in)[0] <= 9998
    if 2 <= gregorian_calendar.year_month_day(day)[0] <= 9998:
        assert stand_in == day


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)), st.sampled_from(ZONES))  # noqa: DTZ001
def test_local_time_agrees_with_the_standard_library(moment, name):
    tz = time_zones.zone(name)
    wall = (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)  # noqa: DTZ001
    aware = moment.replace(tzinfo=tz)
    instant = time_zones.to_utc(wall, tz)
    assert instant == wall - aware.utcoffset() // timedelta(microseconds=1)
    # an hour that the clock leaves out shows as the one after it, there as here
    shown = aware.astimezone(UTC).astimezone(tz).replace(tzinfo=None)
    assert time_zones.to_local(instant, tz) == (shown - datetime(1970, 1, 1)) // timedelta(microseconds=1)  # noqa: DTZ001


@given(st.integers(MIN_TIMESTAMP, MAX_TIMESTAMP), st.sampled_from(ZONES))
def test_local_time_and_back(instant, name):
    tz = time_zones.zone(name)
    shown = time_zones.to_local(instant, tz)
    assert abs(shown - instant) <= time_zones.DAY
    # the same wall clock may come twice; then the first is meant
    assert time_zones.to_utc(shown, tz) <= instant


@given(instants())
def test_postgresqls_text_of_an_instant_is_read_back(shown):
    value = type_of("timestamptz").value(f'"{shown}"')
    assert value in (inf, -inf) or type_of("timestamptz")._literal(value).text == shown


@given(walls())
def test_postgresqls_text_of_a_timestamp_is_read_back(shown):
    value = type_of("timestamp").value(f'"{shown}"')
    assert value in (inf, -inf) or type_of("timestamp")._literal(value).text == shown


@pytest.mark.parametrize("base", ["date", "timestamp", "timestamptz"])
def test_the_infinities_bound_all(base):
    least, most = (type_of(base).value(f'"{raw}"') for raw in ("-infinity", "infinity"))
    assert least < type_of(base).value('"2026-01-31"') < most


def test_rows_may_hold_a_timestamp_that_no_literal_can():
    # what timestamptz(0) makes of the last microsecond
    assert type_of("timestamptz").value('"294277-01-01T00:00:00+00:00"') == MAX_TIMESTAMP + 1


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Berlin",
        "../../etc/passwd",
        "/etc/passwd",
        "America",
        "zone.tab",
        "UTC\x00",
        "x" * 300,
        "leapseconds",
        "a/" * 9,
    ],
)
def test_an_unknown_time_zone_is_refused(name):
    with pytest.raises(BadParameterError, match=r"is not a time zone\. Write an IANA name such as") as refusal:
        time_zones.zone(name)
    assert refusal.value.parameter == "tz"
