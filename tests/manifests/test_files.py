"""Paths -> texts: which files are read, which are skipped, and nothing outside the given paths."""

from __future__ import annotations

import io
import os
import sys

import pytest

from liveconfig._manifests import Problem, Source, read, read_paths
from liveconfig._manifests.files import Skipped

CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app}\n"


def names(root, *paths):
    """The names, relative to ``root``, of what is read."""
    return [os.path.relpath(each.name, root) for each in read_paths(map(str, paths)) if isinstance(each, Source)]


def test_directory(tmp_path):
    """A directory is read recursively, in order, and only its YAML and JSON files."""
    for name in ("b.yaml", "a.yml", "c.json", "notes.md", "script.py", "sub/d.yaml", ".hidden/e.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(CONFIG_MAP)
    assert names(tmp_path, tmp_path) == ["a.yml", "b.yaml", "c.json", ".hidden/e.yaml", "sub/d.yaml"]


def test_the_working_directory(tmp_path, monkeypatch):
    """Files of the working directory have no dot before their names: annotations of a pull request need them so."""
    (tmp_path / "k8s").mkdir()
    (tmp_path / "k8s" / "a.yaml").write_text(CONFIG_MAP)
    monkeypatch.chdir(tmp_path)
    assert [each.name for each in read_paths(["."]) if isinstance(each, Source)] == ["k8s/a.yaml"]


def test_given_file_of_any_name(tmp_path):
    """A file that is given is read, whatever its name."""
    (tmp_path / "rendered").write_text(CONFIG_MAP)
    assert names(tmp_path, tmp_path / "rendered") == ["rendered"]


def test_fifo(tmp_path):
    """A pipe is read if it is given (a shell's <(command)), and left alone in a directory."""
    os.mkfifo(tmp_path / "pipe.yaml")
    assert names(tmp_path, tmp_path) == []
    reader, writer = os.pipe()
    os.write(writer, CONFIG_MAP.encode())
    os.close(writer)
    [source] = read_paths([f"/dev/fd/{reader}"])
    os.close(reader)
    assert isinstance(source, Source)
    assert source.text == CONFIG_MAP


def test_no_such_file(tmp_path):
    """A path that leads nowhere is a problem that names it."""
    [problem] = read_paths([str(tmp_path / "nowhere.yaml")])
    assert problem == Problem(str(tmp_path / "nowhere.yaml"), None, "no such file or directory")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_encodings(tmp_path, encoding):
    """UTF-8 is read, and what PowerShell writes: UTF-16 with a byte order mark."""
    mark = "\ufeff" if encoding == "utf-16-le" else ""
    (tmp_path / "a.yaml").write_bytes((mark + CONFIG_MAP + "# grüß\n").encode(encoding))
    [source] = read_paths([str(tmp_path / "a.yaml")])
    assert isinstance(source, Source)
    assert read([source]).count == 1


def test_not_text(tmp_path):
    """A file that is not UTF-8 is a problem with its line."""
    (tmp_path / "a.yaml").write_bytes(b"kind: a\nname: \xff\n")
    assert [str(each) for each in read_paths([str(tmp_path / "a.yaml")])] == [f"{tmp_path}/a.yaml:2: not UTF-8 text"]


class TestLinks:
    def test_out_of_the_directory(self, tmp_path):
        """A link that leaves the directory is not followed, be it to a file or a directory, and that is said."""
        inside, outside = tmp_path / "in", tmp_path / "out"
        inside.mkdir()
        outside.mkdir()
        (outside / "secret.yaml").write_text(CONFIG_MAP)
        (inside / "file.yaml").symlink_to(outside / "secret.yaml")
        (inside / "folder").symlink_to(outside)
        (inside / "up.yaml").symlink_to("../out/secret.yaml")
        found = list(read_paths([str(inside)]))
        assert [each.path for each in found if isinstance(each, Skipped)] == [
            str(inside / name) for name in ("file.yaml", "folder", "up.yaml")
        ]
        assert len(found) == 3

    def test_other_links_out(self, tmp_path):
        """A link out of the directory that is no manifest is skipped without a message."""
        (tmp_path / "k8s").mkdir()
        (tmp_path / "python").write_text("")
        (tmp_path / "k8s" / "python3").symlink_to("../python")
        assert list(read_paths([str(tmp_path / "k8s")])) == []

    def test_a_directory_whose_name_begins_alike(self, tmp_path):
        """A neighbour whose name begins with that of the directory is outside."""
        (tmp_path / "k8s").mkdir()
        (tmp_path / "k8s-private").mkdir()
        (tmp_path / "k8s-private" / "a.yaml").write_text(CONFIG_MAP)
        (tmp_path / "k8s" / "a.yaml").symlink_to("../k8s-private/a.yaml")
        assert names(tmp_path, tmp_path / "k8s") == []

    def test_inside_the_directory(self, tmp_path):
        """The target of a link inside the directory is read once, and a loop does no harm."""
        (tmp_path / "base").mkdir()
        (tmp_path / "base" / "a.yaml").write_text(CONFIG_MAP)
        (tmp_path / "text").write_text(CONFIG_MAP)
        (tmp_path / "b.yaml").symlink_to("base/a.yaml")
        (tmp_path / "c.yaml").symlink_to("text")
        (tmp_path / "loop").symlink_to(".")
        (tmp_path / "nowhere.yaml").symlink_to("gone.yaml")
        assert names(tmp_path, tmp_path) == ["c.yaml", "base/a.yaml"]

    def test_a_given_link(self, tmp_path):
        """A link that is given itself is followed."""
        (tmp_path / "a.yaml").write_text(CONFIG_MAP)
        (tmp_path / "link").symlink_to("a.yaml")
        assert names(tmp_path, tmp_path / "link") == ["link"]

    def test_a_given_directory_that_is_a_link(self, tmp_path):
        """A directory that is given by a link is read as the directory."""
        (tmp_path / "real").mkdir()
        (tmp_path / "real" / "a.yaml").write_text(CONFIG_MAP)
        (tmp_path / "link").symlink_to("real")
        assert names(tmp_path, tmp_path / "link") == ["link/a.yaml"]


class TestToRender:
    @pytest.mark.parametrize(
        ("name", "render"),
        [
            ("Chart.yaml", "helm template"),
            ("kustomization.yaml", "kustomize build"),
            ("kustomization.yml", "kustomize build"),
            ("Kustomization", "kustomize build"),
        ],
    )
    def test_directory(self, tmp_path, name, render):
        """The directory of a chart or kustomization is skipped with all below it, and its command is named."""
        chart = tmp_path / "my chart"
        (chart / "templates").mkdir(parents=True)
        (chart / name).write_text("apiVersion: v2\nname: web\n")
        (chart / "templates" / "a.yaml").write_text("kind: {{ .Values.kind }}\n")
        (tmp_path / "plain.yaml").write_text(CONFIG_MAP)
        found = list(read_paths([str(tmp_path)]))
        [skipped] = [each for each in found if isinstance(each, Skipped)]
        assert (skipped.path, skipped.render) == (str(chart), f"{render} '{chart}'")
        assert names(tmp_path, tmp_path) == ["plain.yaml"]

    def test_given_file(self, tmp_path):
        """A Chart.yaml that is given names the command for its directory."""
        [skipped] = read_paths(["Chart.yaml"])
        assert isinstance(skipped, Skipped)
        assert skipped.render == "helm template ."


class TestStandardInput:
    def given(self, monkeypatch, content):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        return list(read_paths(["-"]))

    def test_text(self, monkeypatch):
        """A dash stands for standard input."""
        [source] = self.given(monkeypatch, CONFIG_MAP.encode())
        assert source == Source("-", CONFIG_MAP)

    def test_empty(self, monkeypatch):
        """Empty standard input is a problem: the command before the pipe has failed."""
        [problem] = self.given(monkeypatch, b"\n")
        assert "did the command before the pipe fail?" in str(problem)
