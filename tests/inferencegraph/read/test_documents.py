"""Manifests from files and folders, with errors that name file and line."""

from pathlib import Path

import pytest
import yaml

from inferencegraph.read.kustomize import load
from tests.inferencegraph.read.trees import GRAPH, SERVICE, refusal, write


def test_a_file_gives_its_documents_in_order(tmp_path: Path) -> None:
    assert load(write(tmp_path / "all.yaml", GRAPH, None, SERVICE)) == [GRAPH, SERVICE]


def test_a_plain_folder_gives_its_yaml_files_by_name(tmp_path: Path) -> None:
    write(tmp_path / "b.yaml", GRAPH)
    write(tmp_path / "a.yml", SERVICE)
    (tmp_path / "notes.txt").write_text("not yaml: [")
    assert load(tmp_path) == [SERVICE, GRAPH]


def test_a_list_counts_as_its_items(tmp_path: Path) -> None:
    both = {"apiVersion": "v1", "kind": "List", "items": [GRAPH, SERVICE]}
    assert load(write(tmp_path / "all.yaml", both)) == [GRAPH, SERVICE]


def test_the_same_object_twice_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", GRAPH)
    write(tmp_path / "b.yaml", SERVICE, GRAPH)
    a, b = tmp_path / "a.yaml", tmp_path / "b.yaml"
    assert refusal(tmp_path) == f"{b}: InferenceGraph 'qa' is already in {a}; keep one"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\n  b: 2\n", "line 2: mapping values are not allowed here"),
        ("kind: A\nspec:\n  x: 1\n  x: 2\n", "line 4: the key 'x' is written twice"),
        ("kind: [\n", "line 2: expected the node content"),
        ("just words\n", "not a Kubernetes object: apiVersion or kind is missing (found: str)"),
        ("kind: Pod\n", "apiVersion or kind is missing (found: kind)"),
        ("a: \x07\n", "special characters are not allowed"),
        ("- &a [*a]\n", "not a Kubernetes object"),
        ("a: !!python/object:os.system {}\n", "line 1: could not determine a constructor"),
        ("? [a]\n: b\n", "line 1: found unhashable key"),
        ("[" * 3000, "nested too deeply"),
        ("", "no Kubernetes objects in it"),
    ],
    ids=lambda text: repr(text)[:30],
)
def test_broken_yaml_is_one_line_with_file_and_line(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    message = refusal(path)
    assert reason in message
    assert message.startswith(str(path))


def test_a_date_stays_the_string_that_kubectl_sees(tmp_path: Path) -> None:
    dated = {**GRAPH, "metadata": {"name": "qa", "labels": {"since": "2026-01-31"}}}
    path = tmp_path / "graph.yaml"
    path.write_text(yaml.safe_dump(dated).replace("'", ""))
    assert load(path) == [dated]


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(b"kind: \xff\xfe")
    assert "not UTF-8 text" in refusal(path)


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "x") == f"{tmp_path / 'x'}: no such file or directory"


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: '{{ .Values.name }}'\n",
        "{{- if .Values.enabled }}\napiVersion: v1\n{{- end }}\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"{{ include 'c.n' . }}\"}\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  labels: {{ toYaml .labels | nindent 4 }}\n",
        "apiVersion: v1\nkind: ConfigMap\n{% for x in y %}\nmetadata: {}\n{% endfor %}\n",
        "replicas: {{ count }}\n",
        'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "{{ $.Chart.Name }}"}\n',
    ],
    ids=lambda text: repr(text)[-30:],
)
def test_a_template_is_to_be_rendered_first(text: str, tmp_path: Path) -> None:
    path = tmp_path / "service.yaml"
    path.write_text(text)
    assert "is a template with {{ ... }} in it; render it first" in refusal(path)


def test_the_placeholders_of_kserve_and_of_chat_templates_are_no_helm_template(
    tmp_path: Path,
) -> None:
    chat = "{%- for m in messages %}{{ m.content }}{%- endfor %}{{- eos }}"
    data = {"name": "{{.Name}}", "chat": chat}
    content = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}
    path = write(tmp_path / "a.yaml", content)
    path.write_text("# not {{ .Values.x }}\n" + path.read_text())
    assert load(path) == [content]


def test_a_chart_is_to_be_rendered_first(tmp_path: Path) -> None:
    write(tmp_path / "Chart.yaml", {"apiVersion": "v2", "name": "a", "version": "1"})
    write(tmp_path / "templates/graph.yaml", GRAPH)
    assert "is a Helm chart; render it first: helm template" in refusal(tmp_path)
