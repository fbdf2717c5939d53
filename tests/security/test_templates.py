"""Templates from outside: bounded in what they do and make, and without a way to the clock or the machine's zone."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import date

import pytest
from jinja2 import Environment, TemplateSyntaxError

from dagster_defs.adapters.dbt.env_vars import env_vars_in
from dagster_defs.errors import ParityError, TemplateBroken, TemplateFailed, TemplateRefused
from dagster_defs.inventory.arguments import read_vars
from dagster_defs.inventory.holes import Holes, blocks
from dagster_defs.inventory.models import ModelTime, time_in
from dagster_defs.windows import Schedule, TemplateContext, compile_template
from dagster_defs.windows.budget import LONGEST_TEXT, parse
from dagster_defs.windows.values import ValueRefused, read_yaml

SCHEDULE = Schedule.of("@daily", "UTC", "2024-01-01")
CONTEXT = TemplateContext(SCHEDULE, "taxi", "daily", {"days": 3})
WINDOW = SCHEDULE.first_window()
SECONDS = 20  # for one template, on a machine that is busy with other things; each takes less than one alone

DOUBLED = "{{% set ns = namespace(x={start}) %}}{{% for i in range(64) %}}{{% set ns.x = {step} %}}{{% endfor %}}{end}"


def rendered(text: str) -> str:
    return compile_template(text, CONTEXT.params).render(WINDOW, CONTEXT)


COSTLY = {
    "a loop": "{% for i in range(10**9) %}x{% endfor %}",
    "loops in loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "a loop that filters": "{% for i in range(99) if range(99999)|map('string')|list %}{% endfor %}",
    "a loop that takes nothing": "{% for i in range(99999) %}{% for j in range(99999) if 0 %}{% endfor %}{% endfor %}",
    "a loop over a text": "{% for a in 'x' * 300000 %}{% for b in 'x' * 300000 %}{% endfor %}{% endfor %}",
    "a long text in a loop": "{% set x %}{% for i in range(99999) %}" + "x" * 5000 + "{% endfor %}{% endset %}",
    "times": "{{ 'x' * 10**9 }}",
    "times from the left": "{{ 10**9 * 'x' }}",
    "a list times": "{{ [0] * 10**10 }}",
    "a power": "{{ 10 ** (10 ** 8) }}",
    "powers of powers": "{{ (9 ** (9 ** 9)) % 7 }}",
    "squares": DOUBLED.format(start="10", step="ns.x * ns.x", end=""),
    "plus": DOUBLED.format(start="'ab'", step="ns.x + ns.x", end=""),
    "a tilde": DOUBLED.format(start="'ab'", step="ns.x ~ ns.x", end=""),
    "join": DOUBLED.format(start="'ab'", step="ns.x.join([ns.x, ns.x, ns.x])", end=""),
    "the filter join": DOUBLED.format(start="'ab'", step="[ns.x, ns.x]|join(ns.x)", end=""),
    "replace": DOUBLED.format(start="'aa'", step="ns.x.replace('a', 'aa')", end=""),
    "the filter replace": DOUBLED.format(start="'aa'", step="ns.x|replace('a', 'aa')", end=""),
    "a block": "{% set ns = namespace(x='ab') %}{% for i in range(64) %}{% set b %}{{ ns.x }}{{ ns.x }}{% endset %}"
               "{% set ns.x = b %}{% endfor %}",
    "lists of lists, printed": DOUBLED.format(start="[1]", step="[ns.x, ns.x]", end="{{ ns.x }}"),
    "lists of lists, as JSON": DOUBLED.format(start="[1]", step="[ns.x, ns.x]", end="{{ ns.x | tojson }}"),
    "lists of lists, dumped": DOUBLED.format(start="[1]", step="[ns.x, ns.x]", end="{{ macros.json.dumps(ns.x) }}"),
    "a namespace, printed": DOUBLED.format(start="[1]", step="[ns.x, ns.x]", end="{{ ns }}"),
    "tuples as a key": DOUBLED.format(start="(1,)", step="(ns.x, ns.x)", end="{% set d = {ns.x: 1} %}"),
    "tuples looked up": DOUBLED.format(start="(1,)", step="(ns.x, ns.x)", end="{{ {}[ns.x] is defined }}"),
    "lists compared": DOUBLED.format(start="[[1],[1]]", step="[[ns.x[0],ns.x[0]],[ns.x[1],ns.x[1]]]",
                                     end="{{ ns.x[0] == ns.x[1] }}"),
    "lists tested": DOUBLED.format(start="[[1],[1]]", step="[[ns.x[0],ns.x[0]],[ns.x[1],ns.x[1]]]",
                                   end="{{ ns.x[0] is eq(ns.x[1]) }}"),
    "a list that grows": "{% set x = [1] %}{% for i in range(64) %}{% do x.extend(x) %}{% endfor %}",
    "a list in itself": "{% set x = [] %}{% do x.append(x) %}{{ x|tojson }}",
    "ljust": "{{ 'x'.ljust(10**9) }}",
    "zfill": "{{ '1'.zfill(10**9) }}",
    "the filter center": "{{ 'x'|center(10**9) }}",
    "indent": "{{ ('x\\n' * 1000)|indent(10**7) }}",
    "expandtabs": "{{ '\\t\\t'.expandtabs(10**9) }}",
    "batch": "{{ [1]|batch(10**9, 0)|list }}",
    "slice": "{{ [1]|slice(10**9)|list }}",
    "round": "{{ 1.5|round(10**9) }}",
    "to_bytes": "{{ (1).to_bytes(10**9, 'big') }}",
    "JSON with a margin": "{{ macros.json.dumps({'a': [1]}, indent=10**9) }}",
    "tojson with a margin": "{{ {'a': [1]}|tojson(indent=10**9) }}",
    "percent": "{{ '%1000000000d' % 1 }}",
    "percent with a precision": "{{ '%.1000000000f' % 1 }}",
    "the filter format": "{{ '%1000000000d'|format(1) }}",
    "format": "{{ '{:1000000000}'.format(1) }}",
    "format_map": "{{ '{a:1000000000}'.format_map({'a': 1}) }}",
    "strftime": "{{ data_interval_start.strftime('%1000000000Y') }}",
    "ds_format": "{{ macros.ds_format(ds, '%Y-%m-%d', '%1000000000Y') }}",
    "sums of lists": "{{ ([[0]] * 100000)|sum(start=[])|length }}",
    "an interval by its microseconds": "{{ (data_interval_end - data_interval_start).range('microseconds')|list }}",
    "a microsecond in an interval": "{{ 1 in (data_interval_end - data_interval_start).range('microseconds') }}",
    "an interval joined": "{{ ''.join((data_interval_end - data_interval_start).range('microseconds')) }}",
    "an interval unpacked": "{{ dict(*(data_interval_end - data_interval_start).range('microseconds')) }}",
    "fromkeys": "{{ {}.fromkeys((data_interval_end - data_interval_start).range('microseconds')) }}",
    "a macro twice in itself": "{% macro f(n) %}{{ f(n - 1) if n }}{{ f(n - 1) if n }}{% endmacro %}{{ f(60) }}",
    "a recursive loop": "{% for x in [1] recursive %}{{ loop([1, 1]) if loop.depth < 60 }}{% endfor %}",
    "aliases": "{{ macros.yaml.safe_load('" + "[&a0 [x],"
               + ",".join(f"&a{n} [*a{n - 1},*a{n - 1}]" for n in range(1, 40)) + "]') }}",
    "merged aliases": "{{ macros.yaml.safe_load('" + "[&a0 {k: 1},"
                      + ",".join(f"&a{n} {{<<: [*a{n - 1},*a{n - 1}]}}" for n in range(1, 40)) + "]') }}",
}  # fmt: skip


@pytest.mark.parametrize("text", COSTLY.values(), ids=COSTLY)
def test_a_template_has_a_budget(text: str) -> None:
    """What would take for ever, or fill the memory, fails at once, and the error says that it is the template's."""
    began = time.monotonic()

    with pytest.raises((TemplateFailed, TemplateRefused, TemplateBroken)) as caught:
        rendered(text)

    assert time.monotonic() - began < SECONDS
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize(
    "text",
    [
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{{ " + "[" * 200 + "1" + "]" * 200 + " }}",
        "{{ " + "-" * 20000 + "1 }}",
        "{{ 1" + " + 1" * 30000 + " }}",
        "{{ " + "9" * 100_000 + " }}",
        "{% if 1 %}" * 500 + "{% endif %}" * 500,
        "{% for i in [1] %}" * 40 + "{% endfor %}" * 40,
        "{{ ds }}" * LONGEST_TEXT,
        "{{ macros.json.loads('[' * 100000) }}",
        "{{ '{:{}}'.format(1, 10**9) }}",
        "{{ '%*d' % (10**9, 1) }}",
        "{{ range(10**9)|list }}",
    ],
    ids=["a macro in itself", "parentheses", "brackets", "signs", "a long sum", "a long number", "deep conditions",
         "deep loops", "a long text", "deep JSON", "a computed width", "a computed width of percent", "a long range"],
)  # fmt: skip
def test_a_template_that_cannot_be_read_breaks_only_itself(text: str) -> None:
    """Depth and length end in the template's own error, or in its value; never in an error of Python's."""
    began = time.monotonic()
    with suppress(ParityError):
        rendered(text)
    assert time.monotonic() - began < SECONDS


def test_the_budget_is_the_same_each_time() -> None:
    """Operations are counted, not timed: where a template ends does not depend on the machine."""
    loops = "{%% for i in range(%d) %%}{%% endfor %%}"

    def ends(count: int) -> bool:
        try:
            rendered(loops % count)
        except TemplateFailed:
            return True
        return False

    low, high = 1, 99_999
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if ends(middle) else (middle, high)
    assert 10_000 < low < 99_999
    assert [ends(low), ends(high)] * 3 == [False, True] * 3


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{% for n in range(1000) %}{{ n }},{% endfor %}", ",".join(map(str, range(1000))) + ","),
        ("{% for n in [3, 1] if n > 1 %}{{ loop.index }}/{{ loop.length }}{% else %}none{% endfor %}", "1/1"),
        ("{% macro f(a, b=2) %}{{ a ~ b }}{{ varargs|join }}{% endmacro %}{{ f(1) }} {{ f(1, 3, 4) }}", "12 134"),
        (
            "{% macro f() %}<{{ caller() }}>{% endmacro %}{% call f() %}{{ ds }}{% endcall %}",
            "<2024-01-01>",
        ),
        ("{{ 'x' * 3 ~ 2 ** 10 ~ 7 % 4 ~ '%s-%03d' % ('a', 5) }}", "xxx10243a-005"),
        ("{{ '{0}:{n:>4}'.format('a', n=1) }}", "a:   1"),
        ("{{ {'a': [1, 2], ds: none}[ds] is none and 'a' in 'abc' and 1 < 2 < 3 }}", "True"),
        ("{{ ['b', 'a']|sort|map('upper')|join('-') }}", "A-B"),
        ("{{ [1, 2, 3]|select('odd')|list|tojson }} {{ [{'a': 1}]|map(attribute='a')|sum }}", "[1, 3] 1"),
        ("{{ (data_interval_end - data_interval_start).range('hours')|list|length }}", "25"),
        ("{{ ds[:4] ~ ds[5:7] }} {{ ds|replace('-', '') }} {{ 'a,b'.split(',')|last }}", "202401 20240101 b"),
        ("{{ '{%' if false else ('ab' is string) }} {{ 3 is divisibleby 3 }}", "True True"),
        (
            "{% set x = [] %}{% do x.append(params.days) %}{{ dict(a=x) }} {{ x|batch(2, 0)|list }}",
            "{'a': [3]} [[3, 0]]",
        ),
        (
            "{% set ns = namespace(n=0) %}{% for i in range(5) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}",
            "10",
        ),
        (
            "{% for k in [[1, [2]]] recursive %}{{ k[0] }}{{ loop([[k[1][0], []]]) if k[1] }}{% endfor %}",
            "12",
        ),
        ("{{ data_interval_start.in_timezone('Asia/Tokyo').strftime('%H %%s') }}", "09 %s"),
        ("{{ macros.dateutil.parser.parse('2024-01-02T03:04:05+02:00').isoformat() }}", "2024-01-02T03:04:05+02:00"),
        ("{{ macros.dateutil.parser.parse('2024-01-02T03:04:05Z').utcoffset() }}", "0:00:00"),
        ("{{ macros.yaml.safe_load('{a: [1, 2024-01-01]}').a[0] }}", "1"),
        ("{{ data_interval_start.diff(data_interval_end).in_hours() }} {{ 'x'.replace('x', 'local') }}", "24 local"),
    ],
)  # fmt: skip
def test_what_templates_do_is_as_it_was(text: str, value: str) -> None:
    """Within the budget everything that Jinja does is done as Jinja does it."""
    assert rendered(text) == value


CLOCKS = {
    "now": "{{ macros.datetime.now() }}",
    "utcnow": "{{ macros.datetime.utcnow() }}",
    "today": "{{ data_interval_start.today() }}",
    "pendulum's now": "{{ data_interval_start.now('UTC') }}",
    "now by a filter": "{{ (macros.datetime|attr('n' ~ 'ow'))() }}",
    "now in a format": "{{ '{0.now}'.format(macros.datetime) }}",
    "fromtimestamp": "{{ macros.datetime.fromtimestamp(0) }}",
    "age": "{{ data_interval_start.age }}",
    "is_local": "{{ data_interval_start.is_local() }}",
    "a difference from now": "{{ data_interval_start.diff().in_days() }}",
    "a difference from now by another name": "{% set f = data_interval_start.diff %}{{ f() }}",
    "a difference from none": "{{ data_interval_start.diff(none) }}",
    "a difference with a name": "{{ data_interval_start.diff(abs=false) }}",
    "in words": "{{ data_interval_start.diff_for_humans(locale='en') }}",
    "the macro in words": "{{ macros.datetime_diff_for_humans(data_interval_start, none) }}",
    "a birthday": "{{ data_interval_start.is_birthday(none) }}",
    "the local zone": "{{ data_interval_start.in_timezone('local') }}",
    "the local zone, put together": "{{ data_interval_start.in_tz('lo' ~ 'cal') }}",
    "the local zone by name": "{{ data_interval_start.set(tz='local') }}",
    "the local zone of a new date": "{{ data_interval_start.create(2024, 1, 1, tz='local') }}",
    "no zone": "{{ data_interval_start.in_timezone(none) }}",
    "astimezone": "{{ data_interval_start.astimezone() }}",
    "astimezone of none": "{{ data_interval_start.astimezone(none) }}",
    "astimezone without a zone": "{{ macros.datetime(2024, 1, 1).astimezone(dag.timezone) }}",
    "a timestamp without a zone": "{{ macros.datetime(2024, 1, 1).timestamp() }}",
    "seconds of the machine": "{{ data_interval_start.strftime('%s') }}",
    "seconds of the machine, filled": "{{ data_interval_start.strftime('%Y%-12s') }}",
    "seconds of a day": "{{ macros.ds_format(ds, '%Y-%m-%d', '%s') }}",
    "the machine's name of a zone": "{{ macros.datetime.strptime('2024 CET', '%Y %Z') }}",
    "the machine's zone, parsed": "{{ macros.dateutil.parser.parse('2024-01-01 10:00 CET') }}",
    "today, parsed": "{{ macros.dateutil.parser.parse('10:00') }}",
    "random": "{{ macros.random() }}",
    "a random item": "{{ [1, 2]|random }}",
    "uuid": "{{ macros.uuid.uuid4() }}",
    "time": "{{ macros.time.time() }}",
    "pendulum": "{{ pendulum.now() }}",
    "lipsum": "{{ lipsum() }}",
}  # fmt: skip


@pytest.mark.parametrize("text", CLOCKS.values(), ids=CLOCKS)
def test_a_template_has_no_clock(text: str) -> None:
    """The clock, the machine's zone and chance are refused, however they are asked."""
    with pytest.raises((TemplateRefused, TemplateFailed)):
        rendered(text)


def test_the_machines_zone_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is rendered is the same in whatever zone the machine is."""
    texts = [
        "{{ macros.dateutil.parser.parse('2024-07-01 10:00 +02:00') }}",
        "{{ macros.datetime.strptime(ds, '%Y-%m-%d').strftime('%c %j %z') }}",
        "{{ data_interval_start.timestamp() }} {{ data_interval_start.int_timestamp }} {{ ts }}",
        "{{ data_interval_start.in_timezone('Europe/Berlin').format('X ZZ z') }}",
    ]
    found = []
    for zone in ("UTC", "Asia/Tokyo", "America/New_York"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        found.append([rendered(text) for text in texts])
    monkeypatch.undo()
    time.tzset()
    assert found[0] == found[1] == found[2]


DEEP = "{{ " + "(" * 3000 + "x" + ")" * 3000 + " }}"


def test_jinja_that_is_only_read_is_bounded_too() -> None:
    """Models, profiles and commands with Jinja that is too deep or too long say nothing, and break nothing."""
    long = "{{ var('x') }}" * LONGEST_TEXT
    assert time_in(DEEP) == ModelTime()
    assert time_in(long) == ModelTime()
    assert env_vars_in(f"a: '{DEEP}'\nb: \"{{{{ env_var('THERE') }}}}\"") == {"THERE"}
    assert blocks(long) == []
    assert Holes().mask_template(long) == long
    with pytest.raises(TemplateSyntaxError):
        parse(Environment(autoescape=True), DEEP)


@pytest.mark.parametrize(
    "text",
    [
        "[&a0 [x]," + ",".join(f"&a{n} [*a{n - 1},*a{n - 1}]" for n in range(1, 40)) + "]",
        "[&a0 {k: 1}," + ",".join(f"&a{n} {{<<: [*a{n - 1},*a{n - 1}]}}" for n in range(1, 40)) + "]",
        "&a [*a]",
        "[" * 3000 + "]" * 3000,
        "{a: !!python/object/apply:os.system [id]}",
        "2024-13-45",
    ],
    ids=["aliases", "merged aliases", "a list in itself", "deep", "an object", "a date that cannot be"],
)
def test_variables_are_bounded(text: str) -> None:
    """A `--vars` that stands for more than anybody has is not read; nothing hangs."""
    began = time.monotonic()
    with pytest.raises(ValueRefused):
        read_yaml(text)
    assert read_vars(f"{{v: {text}}}") is None
    assert time.monotonic() - began < SECONDS


def test_variables_of_everyday_are_read() -> None:
    """Types are those that dbt reads."""
    assert read_vars("{a: 1, b: [x, 2024-01-01], c: {d: null}}") == {
        "a": 1, "b": ["x", date(2024, 1, 1)], "c": {"d": None}
    }  # fmt: skip
