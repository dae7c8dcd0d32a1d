"""Text -> documents with the line of every key and item: YAML, JSON, streams and lists."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from liveconfig._manifests.parser import Invalid, parse


def one(text, **options):
    [document] = parse(text, **options)
    return document


class TestYaml:
    def test_lines(self):
        """Each key and item knows its line, counted from 1."""
        document = one("# a comment\nkind: ConfigMap\n\nmetadata:\n  name: web\nitems:\n- a\n- b\n")
        assert document.lines == {"kind": 2, "metadata": 4, "items": 6}
        assert document["metadata"].line_of("name") == 5
        assert document["items"].lines == [7, 8]

    def test_several_documents(self):
        """A stream yields its documents in order, and no empty one."""
        documents = list(parse("a: 1\n---\n---\n# nothing\n---\nb: 2\n...\n"))
        assert documents == [{"a": 1}, {"b": 2}]
        assert documents[1].line_of("b") == 6

    def test_crlf(self):
        """CRLF line ends count as one line, and the text of a block scalar has line feeds."""
        document = one("a: 1\r\ndata:\r\n  k: |\r\n    x\r\n    y\r\nz: 2\r\n")
        assert (document["data"]["k"], document.line_of("z")) == ("x\ny\n", 6)

    def test_tab_in_a_block_scalar(self):
        """A tab inside of a block scalar is content."""
        assert one("script: |\n  all:\n  \techo hi\n") == {"script": "all:\n\techo hi\n"}

    def test_byte_order_mark(self):
        """A byte order mark before the text is no part of it."""
        assert one("\ufeffkind: Pod\n") == {"kind": "Pod"}

    def test_anchors(self):
        """An alias is what its anchor names, with the lines of the anchor."""
        document = one("a: &x\n  k: v\nb: *x\n")
        assert document["b"] == {"k": "v"}
        assert document["b"].line_of("k") == 2

    def test_merge(self):
        """A merge key brings in what the mapping does not have itself."""
        document = one("base: &b {image: a, name: c}\none:\n  <<: *b\n  name: d\n")
        assert document["one"] == {"image": "a", "name": "d"}
        assert document["one"].line_of("image") == 1

    def test_merge_of_several(self):
        """Of several merged mappings the first wins."""
        assert one("a: &a {x: 1}\nb: &b {x: 2, z: 3}\nc:\n  <<: [*a, *b]\n")["c"] == {"x": 1, "z": 3}

    def test_an_anchor_ends_with_its_document(self):
        """An alias does not reach into another document."""
        with pytest.raises(Invalid, match="line 3: not valid YAML: an alias without its anchor"):
            list(parse("a: &x 1\n---\nb: *x\n"))

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("30", 30),
            ('"30"', "30"),
            ("yes", True),
            ("~", None),
            ("", None),
            ("1.5", 1.5),
            ("2026-11-28", "2026-11-28"),
            ("2026-13-45", "2026-13-45"),
            ("!!str 30", "30"),
            ("! 30", "30"),
            ("/etc/config", "/etc/config"),
            ("https://pay.example/v1", "https://pay.example/v1"),
        ],
    )
    def test_plain_values(self, text, value):
        """A value without quotes has the type that YAML gives it, except for dates, which are text."""
        assert one(f"v: {text}\n") == {"v": value}

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("y", True),
            ("N", False),
            ("On", True),
            ("tRUE", "tRUE"),
            ("12:30", "12:30"),
            ("1:30.5", "1:30.5"),
            ("010", 8),
            ("08", 8.0),
            ("0", 0),
            ("-0x1F", -31),
            ("0o17", 15),
            ("0b101", 5),
            ("1_000", 1000),
            ("_1", "_1"),
            ("1e3", 1000.0),
            ("1234e56", 1234e56),
            ("1234e567", "1234e567"),
            ("1.", 1.0),
            (".5", 0.5),
            ("._5", "._5"),
            ("+.inf", float("inf")),
            (".Infinity", ".Infinity"),
            ("18446744073709551615", 18446744073709551615),
            ("18446744073709551616", 18446744073709551616.0),
            ("-9223372036854775809", -9223372036854775809.0),
            (f"0x{'f' * 40}", 16**40 - 1),
            (f"-0x{'f' * 40}", f"-0x{'f' * 40}"),
            ("9" * 5000, "9" * 5000),
            ("1.2.3", "1.2.3"),
            ("0x", "0x"),
            ("-", "-"),
            ("٣", "٣"),
            (".٣", ".٣"),
            ("!!float 3", 3.0),
            ("!!int '3'", 3),
        ],
    )
    def test_plain_values_as_kubectl_reads_them(self, text, value):
        """A value without quotes has the type that kubectl gives it (kubernetes-sigs/yaml goyaml.v2/resolve.go)."""
        found = one(f"v: [{text}]\n")["v"][0]
        assert (type(found), found) == (type(value), value)

    def test_a_merge_tag(self):
        """A merge key with its tag, as yq writes it, merges as one without."""
        document = one("base: &b {image: a, name: c}\none:\n  !!merge <<: *b\n  name: d\n")
        assert document["one"] == {"image": "a", "name": "d"}
        assert one("a: &a {x: 1}\nb: {'<<': *a, c: !!merge <<, !!merge d: 1}\n")["b"] == {
            "<<": {"x": 1},
            "c": "<<",
            "d": 1,
        }

    def test_a_binary_tag(self):
        """A value with the tag for base64 is the text that it encodes."""
        assert one("a: !!binary aGVsbG8=\nb: !!binary |\n  aGVs\n  bG8=\nc: !!binary /w==\n") == {
            "a": "hello",
            "b": "hello",
            "c": "\ufffd",
        }

    def test_a_key_twice(self):
        """A key that stands twice is noted with its line, and its last value is taken."""
        document = one("data:\n  a: one\n  b: x\n  a: two\n")
        assert document["data"] == {"a": "two", "b": "x"}
        assert document["data"].twice == [("a", 4)]

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("a: b: c\n", 1),
            ("a: b\n\tc: d\n", 2),
            ("a:\n  - b\n c: d\n", 3),
            ("x: 1\na: !!python/object/apply:os.getcwd []\n", 2),
            ("x: 1\na: !reference [b]\n", 2),
            ("a: {{ .Values.name }}\n", 1),
            ("{{- if .Values.on }}\na: b\n{{- end }}\n", 1),
            ("a: 1\nb: *nowhere\n", 2),
            ("a: 1\nb: \x07\n", 2),
            ("a: 1\nb: !!int x\n", 2),
            ("a: 1\nb: \ud800\n", 2),
            ("a: 1\nb: !!bool maybe\n", 2),
            ("a: 1\nb: !!binary '?'\n", 2),
        ],
    )
    def test_invalid(self, text, line):
        """Text that is no plain YAML is an error with its line, without content, cause or context."""
        with pytest.raises(Invalid) as caught:
            list(parse(text))
        assert caught.value.line == line
        assert caught.value.__cause__ is caught.value.__context__ is None

    @pytest.mark.parametrize("text", ["a: &x\n  again: *x\n", "a: &x [1,\n *x]\n", "a: &x {\n<<: *x}\n"])
    def test_a_loop_of_aliases(self, text):
        """A mapping or list that holds itself is refused, with the line of the alias."""
        with pytest.raises(Invalid, match=r"^line 2: an alias inside of what it stands for$"):
            one(text)

    def test_deep_nesting(self):
        """A text that is nested deeper than any manifest is refused at once."""
        for text in ("[" * 100_000, '{"a":' * 100_000, "- " * 100_000):
            with pytest.raises(Invalid, match=r"^line 1: .*(inside each other|nesting depth)"):
                list(parse(text))

    def test_what_stands_before_a_fault_is_yielded(self):
        """The documents before a fault are read."""
        documents = parse("a: 1\n---\nb: [\n")
        assert next(documents) == {"a": 1}
        with pytest.raises(Invalid):
            next(documents)


class TestList:
    @pytest.mark.parametrize("as_text", [json.dumps, lambda value: json.dumps(value, indent=4)])
    def test_items(self, as_text):
        """The items of a list are yielded one by one, then the rest of it."""
        text = as_text({"kind": "List", "items": [{"kind": "Pod"}, {"kind": "Secret"}]})
        assert list(parse(text)) == [{"kind": "Pod"}, {"kind": "Secret"}, {"kind": "List", "items": []}]

    def test_items_without_a_kind(self):
        """An item of a ConfigMapList, as the API server sends it, is a ConfigMap."""
        text = '{"kind": "ConfigMapList", "apiVersion": "v1", "items": [{"data": {}}]}'
        assert next(parse(text)) == {"kind": "ConfigMap", "apiVersion": "v1", "data": {}}

    def test_items_before_the_kind(self):
        """The items of a ConfigMapList with sorted keys, whose kind stands behind them, are ConfigMaps."""
        text = "apiVersion: v1\nitems:\n- {data: {}}\n- {kind: Pod}\nkind: ConfigMapList\n"
        pod, config, rest = parse(text)
        assert (pod, config) == ({"kind": "Pod"}, {"kind": "ConfigMap", "apiVersion": "v1", "data": {}})
        assert (config.line, rest["kind"], rest["items"]) == (3, "ConfigMapList", [])

    def test_a_list_in_a_list(self):
        """The items of a list in a list are yielded before it, each with the kind that its list gives it."""
        inner = {"kind": "ConfigMapList", "apiVersion": "v1", "items": [{"data": {}}]}
        outer = {"kind": "List", "items": [{"kind": "List", "items": [inner, {"kind": "Pod"}]}, {"kind": "Secret"}]}
        found = [each["kind"] for each in parse(json.dumps(outer))]
        assert found == ["ConfigMap", "ConfigMapList", "Pod", "List", "Secret", "List"]

    def test_an_alias_as_an_item(self):
        """An item that is an alias is an item as well."""
        text = "pod: &pod {kind: Pod}\nkind: List\nitems: [*pod, {kind: Secret}]\n"
        assert [each["kind"] for each in parse(text)] == ["Secret", "Pod", "List"]

    def test_items_are_handed_on_at_once(self):
        """An item that says what it is, or whose list does, is yielded before the rest of the text is read."""
        for text in ("items:\n- {kind: Pod}\n- [", "kind: PodList\napiVersion: v1\nitems:\n- {}\n- ["):
            assert next(parse(text))["kind"] == "Pod"

    def test_many_lists_in_lists(self):
        """Lists that aliases put into each other many hundred times are read."""
        lists = [f"a{n}: &a{n} {{items: [*a{n - 1}]}}" for n in range(1, 901)]
        text = "\n".join(["a0: &a0 {kind: Pod}", *lists, "items: [*a900]\n"])
        assert {"kind": "Pod"} in list(parse(text))

    def test_inner_items(self):
        """The items of a volume are left where they are."""
        assert one("spec:\n  items:\n  - key: a\n") == {"spec": {"items": [{"key": "a"}]}}


class TestJson:
    def test_lines(self):
        """Each key and item knows its line."""
        document = one('{\n  "kind": "Pod",\n  "items": [\n    1,\n    "b"\n  ]\n}\n')
        assert document.lines == {"kind": 2, "items": 3}
        assert document["items"].lines == [4, 5]

    def test_values(self):
        """Every kind of value is read as Python's json does it."""
        value = {"a": [1, -2, 2.5, 1e3, True, False, None, "", "\u00fc\n\\", {}, []], "b": {"c": "\U0001f600"}}
        for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
            assert one(text) == value

    def test_several_objects(self):
        """JSON objects may follow each other."""
        assert list(parse('{"a": 1}\n{"b": 2}{"c": 3}')) == [{"a": 1}, {"b": 2}, {"c": 3}]

    def test_flow_yaml(self):
        """A text that begins with a brace and is no JSON is read as YAML."""
        assert one("{kind: Pod, # yes\n metadata: {name: web}}\n") == {"kind": "Pod", "metadata": {"name": "web"}}

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ('{"a": 1,\n "b" 2}', 2),
            ('{"a": [1, 2}', 1),
            ('{"a": 1\n', 1),
            ('{"a": tru}', 1),
            ('{"a":\n "x\n"}', 2),
            ('{"a": 1}]', 1),
            ('{"a": 01}', 1),
            ('{"a",}', 1),
            ("[1, 2,]", 1),
            ("kind: Pod", 1),
        ],
    )
    def test_invalid(self, text, line):
        """A file that must be JSON and is not is refused with its line."""
        with pytest.raises(Invalid, match="not valid JSON") as caught:
            list(parse(text, json_only=True))
        assert caught.value.line == line
        assert caught.value.__cause__ is caught.value.__context__ is None


def test_without_pyyaml():
    """Without PyYAML JSON is read, and the error for YAML says what to install."""
    program = (
        "import sys; sys.modules['yaml'] = None\n"
        "from liveconfig._manifests.parser import parse\n"
        'print(list(parse(\'{"kind": "Pod"}\')))\n'
        "try:\n    list(parse('kind: Pod'))\n"
        "except ModuleNotFoundError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[0] == "[{'kind': 'Pod'}]"
    assert "pip install 'pyyaml>=6" in done.stdout


TEN = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
TEN += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(TEN),
        "\n---\n".join(["\n".join(TEN[:5])] * 40),
        f"a: &a {'x' * 10_000}\nb: [{', '.join(['*a'] * 500)}]\n",
        f"a: &a {{{', '.join(f'k{n}: v' for n in range(1_000))}}}\nb: [{', '.join(['{<<: *a}'] * 1_000)}]\n",
    ],
    ids=["aliases of aliases", "in many documents", "a long text", "merged mappings"],
)
def test_expansion_is_bounded(text):
    """A text whose aliases stand for more than kubectl takes is refused before anything can walk through it."""
    with pytest.raises(Invalid, match="aliases that stand for more than 4,000,000 characters"):
        list(parse(text))


def test_aliases_within_reason():
    """A text that repeats itself a thousand times by aliases is read."""
    found = one(f"a: &a {{k: v, l: [1, 2]}}\nb: [{', '.join(['*a'] * 1_000)}]\nc: [{', '.join(['*a'] * 1_000)}]\n")
    assert found["b"] == found["c"] == [{"k": "v", "l": [1, 2]}] * 1_000


def test_the_kind_of_a_list_is_text():
    """Items of a list whose kind is no text stay as they are: the kind is not written out."""
    [item, _] = parse("kind: [ConfigMapList]\napiVersion: v1\nitems:\n- {metadata: {name: x}}\n")
    assert item == {"metadata": {"name": "x"}}


def test_json_documents_with_separators() -> None:
    """Documents in JSON with ``---`` between them are read, each with its line."""
    text = '{"a": 1}\n---\n{"b": 2}\n'
    assert [(dict(each), each.line) for each in parse(text)] == [({"a": 1}, 1), ({"b": 2}, 3)]
