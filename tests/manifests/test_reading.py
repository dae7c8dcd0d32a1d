"""Texts -> records: ConfigMaps and Secrets with their keys, workloads with their mounts and variables, uses."""

from __future__ import annotations

import json

import pytest

from liveconfig._manifests import ObjectId, Place, parse_ref_path, read, read_paths

OBJECTS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: app}
data:
  message: hello
  port: 8080
binaryData:
  logo: //4A
  broken: "?"
---
apiVersion: v1
kind: Secret
metadata: {name: login}
data: {user: cm9vdA==, both: eA==}
stringData: {both: plain}
"""

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: app, namespace: shop}
spec:
  initContainers:
  - {name: first, image: a}
  - {name: beside, image: a, restartPolicy: Always}
  containers:
  - name: app
    image: app:1
    env:
    - {name: MODE, value: fast}
    - {name: NOTHING}
    - name: PORT
      valueFrom: {configMapKeyRef: {name: app, key: port, optional: true}}
    envFrom:
    - {prefix: DB_, secretRef: {name: login}}
    volumeMounts:
    - {name: all, mountPath: /etc/app}
    - {name: all, mountPath: /etc/one, subPath: x/port}
    - {name: nowhere, mountPath: /etc/nowhere}
  ephemeralContainers:
  - {name: debug, image: a}
  volumes:
  - name: all
    projected:
      sources:
      - configMap: {name: app, items: [{key: port, path: x/port}]}
      - secret: {name: login, optional: true}
"""


class TestObjects:
    def test_keys(self, found):
        """Each key has its line, and the values are there where they are asked for."""
        manifests = found(OBJECTS, values=True)
        [app] = manifests.known(ObjectId("ConfigMap", "", "app"))
        assert {name: key.value for name, key in app.keys.items()} == {
            "message": b"hello",
            "port": None,
            "logo": b"\xff\xfe\x00",
            "broken": None,
        }
        assert app.keys["message"].place is not None
        assert app.keys["message"].place.line == 5
        assert "type int, not text: put it in quotes" in app.keys["port"].problem
        assert "base64" in app.keys["broken"].problem

    @pytest.mark.parametrize(
        ("key", "name"), [("on", "true"), ("N", "false"), ("012", "10"), ("08", "8"), ("1.10", "1.1"), ("1e6", "1e+06")]
    )
    def test_keys_that_are_no_text(self, found, key, name):
        """A key without quotes that is a number or a truth value has the name that kubectl makes of it."""
        [app] = found(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: app}}\ndata: {{{key}: x}}\n").objects
        assert list(app.keys) == [name]

    def test_secret(self, found):
        """The data of a Secret is decoded, and stringData wins."""
        [login] = found(OBJECTS, values=True).known(ObjectId("Secret", "", "login"))
        assert {name: key.value for name, key in login.keys.items()} == {"user": b"root", "both": b"plain"}

    def test_values_are_not_kept(self, found, canary):
        """F01: unless they are asked for, no value of a ConfigMap or Secret is in the records."""
        text = OBJECTS.replace("hello", canary).replace("plain", canary)
        assert canary not in repr_of_everything(found(text))
        assert canary.encode() in found(text, values=True).objects[0].keys["message"].value

    def test_repr_shows_no_value(self, found, canary):
        """F04: the repr of a record shows no value, not even of a variable."""
        text = OBJECTS.replace("plain", canary) + "---\n" + POD.replace("fast", canary)
        manifests = found(text, values=True)
        assert canary not in repr(manifests.objects) + repr(manifests.workloads) + repr(manifests)

    @pytest.mark.parametrize(
        ("text", "complete"),
        [
            ("kind: ConfigMap\ndata: {}\n", True),
            ("kind: Secret\ntype: Opaque\n", False),
            ("kind: Secret\ndata: {}\n", False),
            ("kind: Secret\ndata: {a: eA==}\n", True),
        ],
    )
    def test_complete(self, found, text, complete):
        """The keys of a Secret without data are unknown."""
        [data] = found(f"apiVersion: v1\nmetadata: {{name: x}}\n{text}").objects
        assert data.complete is complete

    def test_encrypted(self, found):
        """A value that SOPS has encrypted is unknown; its key is known."""
        [data] = found(
            "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData: {a: 'ENC[AES256_GCM,data:x]'}\n",
            values=True,
        ).objects
        assert (data.keys["a"].value, data.keys["a"].encrypted, data.keys["a"].problem) == (None, True, "")

    def test_a_key_twice(self, found):
        """A key that stands twice in the data is a problem with its line: kubectl refuses it too."""
        [problem] = found("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  a: '1'\n  a: '2'\n").problems
        assert problem.line == 6
        assert "the key 'a' stands twice" in problem.message

    @pytest.mark.parametrize("keys", [("1", "true"), ("on", "1"), ("0", "n"), ("false", "0")])
    def test_a_number_and_a_truth_value(self, found, keys):
        """A number and a truth value are two keys, although Python takes ``True`` for 1."""
        data = f"{{{keys[0]}: a, {keys[1]}: b}}"
        manifests = found(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\ndata: {data}\n", values=True)
        assert manifests.problems == ()
        assert [key.value for key in manifests.objects[0].keys.values()] == [b"a", b"b"]

    def test_a_truth_value_twice(self, found):
        """A truth value that stands twice is a problem with the name that kubectl makes of it."""
        [problem] = found("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {on: a, true: b}\n").problems
        assert problem.message == "the key 'true' stands twice in `data` of configmap/x"

    def test_a_section_twice(self, found):
        """A section that stands twice is a problem with its line: only one of both would count."""
        [problem] = found(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {a: '1'}\ndata: {b: '2'}\n"
        ).problems
        assert (problem.line, problem.message) == (5, "the key 'data' stands twice in configmap/x")

    @pytest.mark.parametrize("name", ["a b", "a/b", "..data", ".", ""])
    def test_a_name_that_no_key_has(self, found, name):
        """A key that an API server refuses has a problem."""
        text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\ndata: {{'{name}': x}}\n"
        [data] = found(text).objects
        assert f"the key {name!r} is no name of a key" in data.keys[name].problem

    def test_a_key_in_both_sections(self, found):
        """A key in ``data`` and in ``binaryData`` has a problem: an API server refuses it; in a Secret, stringData wins."""
        both = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {a: x}\nbinaryData: {a: eA==, b: eA==}\n"
        [data] = found(both, values=True).objects
        assert data.keys["a"].problem == "the key 'a' is in `data` and in `binaryData`"
        assert (data.keys["a"].value, data.keys["a"].binary) == (None, False)
        assert (data.keys["b"].problem, data.keys["b"].value) == ("", b"x")
        [login] = found(OBJECTS, values=True).known(ObjectId("Secret", "", "login"))
        assert not any(key.problem for key in login.keys.values())

    @pytest.mark.parametrize(("value", "type_"), [("[{name: a, value: x}]", "list"), ("a=x", "str"), ("7", "int")])
    def test_data_that_is_no_mapping(self, found, value, type_):
        """Data that is no mapping is a problem of the object, and data without a value is none."""
        text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: "
        [data] = found(text + value + "\n").objects
        assert data.problem == f"`data` is of type {type_}, not a mapping of keys to values"
        assert [each.problem for each in found(text + "\nbinaryData: {}\n").objects] == [""]


class TestCreated:
    def test_the_name_of_a_sealed_secret(self, found):
        """The Secret has name and namespace of its SealedSecret: the controller does not take those of the template."""
        [made] = found(
            "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: prod-db, namespace: prod}\n"
            "spec: {encryptedData: {a: AgBy}, template: {metadata: {name: db, namespace: dev}}}\n"
        ).objects
        assert made.id == ObjectId("Secret", "prod", "prod-db")


class TestWorkloads:
    def test_a_container_without_a_name(self, found):
        """A container of a Knative Service needs no name."""
        spec = "{containers: [{image: i, envFrom: [{configMapRef: {name: x}}]}]}"
        text = f"apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {{name: k}}\nspec: {{template: {{spec: {spec}}}}}\n"
        [use] = found(text).uses
        assert (use.object, use.container) == (ObjectId("ConfigMap", "", "x"), "")

    def test_containers(self, found):
        """Each kind of container is recognized."""
        [pod] = found(POD).workloads
        assert [(each.name, each.type) for each in pod.containers] == [
            ("first", "init"),
            ("beside", "sidecar"),
            ("app", "container"),
            ("debug", "ephemeral"),
        ]

    def test_variables(self, found):
        """Variables have their literal value or their key, and envFrom its prefix."""
        [pod] = found(POD).workloads
        [app] = [each for each in pod.containers if each.name == "app"]
        mode, nothing, port = app.env
        assert (mode.value, nothing.value, port.value) == ("fast", "", None)
        assert port.key_ref is not None
        assert (port.key_ref.object, port.key_ref.key) == (ObjectId("ConfigMap", "shop", "app"), "port")
        assert port.key_ref.optional
        assert [(each.object.name, each.prefix) for each in app.env_from] == [("login", "DB_")]

    def test_mounts(self, found):
        """A mount has its volume, and that has the objects that it is made of, with items and optional."""
        [pod] = found(POD).workloads
        [app] = [each for each in pod.containers if each.name == "app"]
        whole, part, nowhere = app.mounts
        assert (whole.path, whole.whole, part.whole, part.sub_path) == ("/etc/app", True, False, "x/port")
        first, second = whole.volume.sources
        assert first.items is not None
        assert [(item.key, item.path) for item in first.items] == [("port", "x/port")]
        assert (first.optional, second.optional, second.items) == (False, True, None)
        assert nowhere.volume.sources == ()

    def test_subpath_finds_its_source(self, found):
        """A subPath of a projected volume uses the source that has the file, and the key, not the path."""
        [use] = [use for use in found(POD).uses if use.how == "subPath"]
        assert use.object == ObjectId("ConfigMap", "shop", "app")
        assert [name for name, _ in use.keys] == ["port"]

    @pytest.mark.parametrize(("kind", "used"), [("StatefulSet", False), ("Deployment", True)])
    def test_a_volume_with_the_name_of_a_claim(self, found, kind, used):
        """A claim of a StatefulSet replaces the volume of its name, so that nothing uses what that is made of."""
        manifests = found(
            f"apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: db}}\nspec:\n"
            "  template: {spec: {containers: [{name: c, volumeMounts: [{name: v, mountPath: /v}]}],"
            " volumes: [{name: v, secret: {secretName: s}}]}}\n"
            "  volumeClaimTemplates: [{metadata: {name: v}, spec: {accessModes: [ReadWriteOnce]}}]\n"
        )
        assert [use.object.name for use in manifests.uses] == ["s"] * used

    @pytest.mark.parametrize("key", ["5", "null", "true", "1.5"])
    def test_a_field_that_is_no_text(self, found, key):
        """A field of a volume whose name is no text is none that Kubernetes knows."""
        volume = f"{{name: v, {key}: {{secretRef: {{name: s}}}}}}"
        spec = f"{{containers: [{{name: app}}], volumes: [{volume}]}}"
        manifests = found(f"apiVersion: v1\nkind: Pod\nmetadata: {{name: x}}\nspec: {spec}\n")
        assert manifests.workloads[0].templates[0].volumes[0].type == "emptyDir"
        assert manifests.uses == ()

    def test_places(self, found):
        """Every use has its file and line."""
        manifests = found(POD)
        lines = {use.target or use.how: use.place.line for use in manifests.uses}
        assert lines == {"PORT": 14, "envFrom": 17, "/etc/app": 19, "/etc/one": 20}

    @pytest.mark.parametrize(
        ("kind", "version", "wrap"),
        [
            ("Deployment", "apps/v1", lambda pod: {"template": {"spec": pod}}),
            ("StatefulSet", "apps/v1", lambda pod: {"template": {"spec": pod}}),
            ("DaemonSet", "apps/v1", lambda pod: {"template": {"spec": pod}}),
            ("ReplicaSet", "apps/v1", lambda pod: {"template": {"spec": pod}}),
            ("ReplicationController", "v1", lambda pod: {"template": {"spec": pod}}),
            ("Job", "batch/v1", lambda pod: {"template": {"spec": pod}}),
            ("CronJob", "batch/v1", lambda pod: {"jobTemplate": {"spec": {"template": {"spec": pod}}}}),
            ("Pod", "v1", lambda pod: pod),
            ("Rollout", "argoproj.io/v1alpha1", lambda pod: {"template": {"spec": pod}}),
            ("Service", "serving.knative.dev/v1", lambda pod: {"template": {"spec": pod}}),
            ("Widget", "example.com/v1", lambda pod: {"groups": [{"podTemplate": {"spec": pod}}]}),
        ],
    )
    def test_every_kind_with_a_pod_template(self, found, kind, version, wrap):
        """A pod template is found in each kind, those of custom resources included."""
        pod = {"containers": [{"name": "app", "envFrom": [{"configMapRef": {"name": "app"}}]}]}
        manifests = found(
            json.dumps({"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, "spec": wrap(pod)})
        )
        [use] = manifests.uses
        assert (str(use.workload), use.container, use.how) == (f"{kind.lower()}/x", "app", "envFrom")

    @pytest.mark.parametrize(
        ("spec", "line", "message"),
        [
            ("containers:\n    name: c", 5, "containers` of pod/x must be a list, not a mapping"),
            ("containers: [c]", 5, "containers[0]` of pod/x must be a mapping, not text"),
            (
                "containers: [{name: c, env: {PORT: '1'}}]",
                5,
                "containers[0].env` of pod/x must be a list, not a mapping",
            ),
            (
                "containers:\n  - name: c\n    envFrom: {configMapRef: {name: a}}",
                7,
                "containers[0].envFrom` of pod/x must be a list, not a mapping",
            ),
            (
                "containers: [{name: c, volumeMounts: {name: v}}]",
                5,
                "containers[0].volumeMounts` of pod/x must be a list, not a mapping",
            ),
            ("volumes: {name: v}", 5, "volumes` of pod/x must be a list, not a mapping"),
            ("volumes: [{name: v, configMap: f}]", 5, "volumes[0].configMap` of pod/x must be a mapping, not text"),
            (
                "volumes: [{name: v, configMap: {name: no}}]",
                5,
                "volumes[0].configMap.name` of pod/x must be text, not a truth value: put it in quotes",
            ),
            ("imagePullSecrets: [7]", 5, "imagePullSecrets[0]` of pod/x must be a mapping, not a number"),
            ("imagePullSecrets: [{name: [x]}]", 5, "imagePullSecrets[0].name` of pod/x must be text, not a list"),
        ],
    )
    def test_a_field_of_another_type(self, found, spec, line, message):
        """A field of a wrong type is a problem with its line and what it must be: what it holds is not read."""
        [problem] = found(f"apiVersion: v1\nkind: Pod\nmetadata: {{name: x}}\nspec:\n  {spec}\n").problems
        assert (problem.line, problem.message) == (line, f"`spec.{message}")

    @pytest.mark.parametrize(
        ("kind", "version", "path"),
        [
            ("Deployment", "apps/v1", "spec.template.spec"),
            ("CronJob", "batch/v1", "spec.jobTemplate.spec.template.spec"),
            ("Service", "serving.knative.dev/v1", "spec.template.spec"),
            ("PodTemplate", "v1", "template.spec"),
        ],
    )
    def test_a_field_of_another_type_of_each_kind(self, found, kind, version, path):
        """The pod template of each kind is looked at."""
        spec = "{containers: {name: c}}"
        for name in reversed(path.split(".")):
            spec = f"{{{name}: {spec}}}"
        head = {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}}
        [problem] = found(json.dumps(head)[:-1] + f", {spec[1:]}").problems
        assert problem.message == f"`{path}.containers` of {kind.lower()}/x must be a list, not a mapping"

    @pytest.mark.parametrize("spec", ["containers:", "volumes: []", "containers: [{name: c, env: , envFrom: []}]"])
    def test_a_field_without_a_value(self, found, spec):
        """A field without a value, as a template leaves one behind, is no problem."""
        assert found(f"apiVersion: v1\nkind: Pod\nmetadata: {{name: x}}\nspec:\n  {spec}\n").problems == ()

    def test_a_field_of_a_custom_resource(self, found):
        """A custom resource can have fields of the same names with anything in them."""
        spec = "{template: {spec: {containers: {web: {env: {A: b}}}, volumes: x}}}"
        assert (
            found(f"apiVersion: score.dev/v1\nkind: Deployment\nmetadata: {{name: x}}\nspec: {spec}\n").problems == ()
        )

    def test_pod_template(self, found):
        """The template of a PodTemplate stands beside its metadata."""
        [use] = found(
            "apiVersion: v1\nkind: PodTemplate\nmetadata: {name: x}\n"
            "template: {spec: {containers: [{name: app, envFrom: [{secretRef: {name: app}}]}]}}\n"
        ).uses
        assert use.field == "template.spec.containers[app].envFrom[secret/app]"

    def test_a_loop_of_aliases(self, found):
        """A manifest that holds itself is a problem with its line."""
        [problem] = found("apiVersion: v1\nkind: Widget\nmetadata: {name: x}\nspec: &s\n  again: *s\n").problems
        assert (problem.line, problem.message) == (5, "an alias inside of what it stands for")


class TestOwners:
    def pods(self, owner):
        return (
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\n"
            f"  ownerReferences: [{{kind: {owner}, name: x, controller: true}}]\n"
            "spec: {containers: [{name: app, image: a}]}\n"
        )

    def test_known_owner(self, found):
        """A pod whose ReplicaSet is in the input is left out."""
        owner = self.pods("Nothing").replace("kind: Pod", "kind: ReplicaSet")
        assert [str(each.id) for each in found(self.pods("ReplicaSet"), owner).workloads] == ["replicaset/x"]

    def test_unknown_owner(self, found):
        """A pod whose owner is not in the input is kept, because nothing else shows its uses."""
        assert len(found(self.pods("StrimziPodSet")).workloads) == 1

    @pytest.mark.parametrize(
        ("maker", "owner", "name", "kinds"),
        [
            ("Deployment", "ReplicaSet", "web", ["Deployment"]),
            ("Rollout", "ReplicaSet", "web", ["Rollout"]),
            ("CronJob", "Job", "web", ["CronJob"]),
            ("DeploymentConfig", "ReplicationController", "web", ["DeploymentConfig"]),
            ("Deployment", "ReplicaSet", "we", ["Pod", "Deployment"]),
            ("StatefulSet", "ReplicaSet", "web", ["Pod", "StatefulSet"]),
        ],
    )
    def test_owner_of_an_unknown_owner(self, found, maker, owner, name, kinds):
        """A pod of an unknown ReplicaSet is left out if the input has the Deployment whose name the ReplicaSet has."""
        pod = self.pods(owner).replace("name: x,", "name: web-5d8f,")
        made = self.pods("Nothing").replace("kind: Pod", f"kind: {maker}").replace("name: x\n", f"name: {name}\n")
        assert [each.id.kind for each in found(pod, made).workloads] == kinds

    def test_listed_kind(self, found):
        """A pod of a kind of which the cluster listed all is left out."""
        assert found(self.pods("ReplicaSet"), listed=["ReplicaSet"]).workloads == ()


class TestReferences:
    WIDGET = """\
apiVersion: example.com/v1
kind: Widget
metadata: {name: one}
spec:
  tls:
  - {secretName: first}
  - {secretName: second}
  config: {kind: ConfigMap, name: settings}
  plain: settings
  "dotted.name": {configMapRef: {name: dotted, namespace: other}}
"""

    @pytest.mark.parametrize(
        ("path", "objects"),
        [
            ("Widget.example.com:spec.tls[].secretName", ["secret/first", "secret/second"]),
            ("widget.EXAMPLE.com:.spec.tls[*].secretName", ["secret/first", "secret/second"]),
            ("Widget.example.com:spec.tls.secretName", ["secret/first", "secret/second"]),
            ("Widget.example.com:spec.config", ["configmap/settings"]),
            ('Widget.example.com:spec["dotted.name"].configMapRef.name', ["configmap/dotted"]),
            ("Widget.example.com:spec.nothing", []),
            ("Gadget.example.com:spec.config", []),
            ("Widget:spec.config", []),
        ],
    )
    def test_ref_path(self, found, path, objects):
        """A field of a custom resource that the user names is a use, in lists too."""
        uses = found(self.WIDGET, ref_paths=[parse_ref_path(path)]).uses
        assert [str(use.object) for use in uses] == objects
        assert all((use.how, str(use.workload)) == ("ref-path", "widget/one") for use in uses)

    def test_a_path_that_does_not_tell_the_kind(self, found):
        """A name alone is a use of whatever the input has of that name."""
        config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n"
        path = parse_ref_path("Widget.example.com:spec.plain")
        assert [str(use.object) for use in found(self.WIDGET, config, ref_paths=[path]).uses] == ["configmap/settings"]
        assert found(self.WIDGET, ref_paths=[path]).uses == ()

    @pytest.mark.parametrize("text", ["", "Widget", "Widget:", ":spec", "Widget.example.com:spec.[", "Widget:a..b"])
    def test_not_a_path(self, text):
        """An argument that is not KIND.GROUP:PATH is an error that shows the form."""
        with pytest.raises(ValueError, match=r"Widget\.example\.com:spec\.tls\[\]\.secretName"):
            parse_ref_path(text)

    def test_lists_of_lists(self, found):
        """A list in a list in a list is not looked into: a path says how deep it leads."""
        head = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: x}\n"
        manifests = found(head + "spec: {tls: [[[{secretName: x}]], {secretName: z}]}\n")
        assert [use.object.name for use in manifests.uses] == ["z"]

    @pytest.mark.parametrize("part", ["data: *a9", "type: *a9", "metadata: {name: *a9}", "items: [*a9], kind: *a9"])
    def test_aliases_of_aliases(self, found, part):
        """A small text of which aliases make an endless one is a problem, wherever the aliases stand."""
        lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
        lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
        head = "apiVersion: v1\nkind: Secret\nmetadata: {name: x-2456789bcd}\n"
        manifests = found(head + "\n".join(lines) + f"\n{part}\n")
        assert [problem.message for problem in manifests.problems] == [
            "aliases that stand for more than 4,000,000 characters"
        ]
        assert manifests.objects == ()

    def test_another_namespace(self, found):
        """A reference that names a namespace is one into that namespace."""
        path = parse_ref_path('Widget.example.com:spec["dotted.name"].configMapRef')
        [use] = found(self.WIDGET, ref_paths=[path]).uses
        assert use.object == ObjectId("ConfigMap", "other", "dotted")


class TestNames:
    KINDS = (
        "apiVersion: v1\nkind: ConfigMap",
        "apiVersion: v1\nkind: Pod\nspec: {containers: [{name: app}]}",
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nspec: {tls: [{secretName: s}]}",
        "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret",
    )

    @pytest.mark.parametrize("text", KINDS)
    @pytest.mark.parametrize("metadata", ["", "metadata: {}\n", "metadata: {name: ''}\n", "metadata: web\n"])
    def test_no_name(self, found, text, metadata):
        """An object without a name is a problem with its line, and nothing else is said of it."""
        manifests = found(f"# first\n{text}\n{metadata}")
        kind = text.partition("kind: ")[2].partition("\n")[0]
        [problem] = manifests.problems
        assert (problem.line, problem.message) == (2, f"this {kind} has no name: add `metadata.name`")
        assert (manifests.objects, manifests.workloads, manifests.uses) == ((), (), ())

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("no", "a truth value, not text: put it in quotes"),
            ("on", "a truth value, not text: put it in quotes"),
            ("123", "a number, not text: put it in quotes"),
            ("[x]", "a list, not text"),
        ],
    )
    @pytest.mark.parametrize("field", ["name", "generateName", "namespace"])
    def test_a_name_that_is_no_text(self, found, field, name, words):
        """A name without quotes that is no text is a problem with its line, in words."""
        text = f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  {field}: {name}\n"
        manifests = found(text if field != "namespace" else text + "  name: x\n")
        [problem] = manifests.problems
        assert (problem.line, problem.message) == (4, f"`metadata.{field}` of this ConfigMap is {words}")
        assert manifests.objects == ()

    def test_a_kind_without_names(self, found):
        """Files of other tools that have a kind, and no name, are no problem."""
        manifests = found("apiVersion: v1\nkind: Config\nclusters: []\n", "apiVersion: x/v1\nkind: Kustomization\n")
        assert (manifests.problems, manifests.count) == ((), 2)

    def test_generated(self, found):
        """An object whose name Kubernetes makes is called by the part that it has."""
        job = "metadata: {generateName: run-}\nspec: {template: {spec: {containers: [{name: app}]}}}\n"
        [workload] = found(f"apiVersion: batch/v1\nkind: Job\n{job}").workloads
        assert workload.id.name == "run-"


class TestInput:
    @pytest.mark.parametrize(
        "text",
        [
            "items:\n- metadata: {name: a}\nkind: ConfigMapList\napiVersion: v1\n",
            "kind: List\napiVersion: v1\nitems:\n- kind: ConfigMapList\n  apiVersion: v1\n  items: [{metadata: {name: a}}]\n",
        ],
        ids=["items before kind", "a list in a list"],
    )
    def test_lists(self, found, text):
        """The objects of a list are read wherever its kind stands, and the list itself is not counted as one."""
        manifests = found(text)
        assert [str(each.id) for each in manifests.objects] == ["configmap/a"]
        assert manifests.count == 1

    def test_skipped_and_counted(self, tmp_path):
        """Files that hold no Kubernetes objects are skipped and counted."""
        (tmp_path / "values.yaml").write_text("image: {tag: 1}\n")
        (tmp_path / "tsconfig.json").write_text("{ // comments\n}\n")
        (tmp_path / "compose.yaml").write_text("services: {web: {image: a}}\nkind: none\n")
        (tmp_path / "app.yaml").write_text(OBJECTS)
        manifests = read(read_paths([str(tmp_path)]))
        assert (manifests.count, manifests.empty_files, manifests.problems) == (2, 3, ())

    @pytest.mark.parametrize(
        "text",
        [
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-app\n",
            "apiVersion: v1\nkind: ConfigMap\n{{- if .Values.labels }}\nmetadata: {name: x}\n{{- end }}\n",
            'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: "{{ .Release.Name }}-app"\n',
        ],
    )
    def test_helm_template(self, found, text):
        """A Helm template that was not rendered is a problem with its line and the advice to pipe."""
        [problem] = found(text).problems
        assert problem.line is not None
        assert "pipe what `helm template` prints" in problem.message

    def test_a_fault_does_not_stop_the_rest(self, found):
        """The other files are read, and what stands before the fault."""
        manifests = found(OBJECTS + "---\na: [\n", OBJECTS.replace("app", "web"))
        assert (manifests.count, [problem.line for problem in manifests.problems]) == (4, [18])

    def test_namespace_for_those_without(self, found):
        """Objects without a namespace get the one that is given; without it they form a group of their own."""
        assert found(OBJECTS, namespace="shop").objects[0].id == ObjectId("ConfigMap", "shop", "app")
        assert found(OBJECTS).objects[0].id == ObjectId("ConfigMap", "", "app")

    def test_position(self, found, tmp_path):
        """An object stands where it begins."""
        assert found(OBJECTS).objects[1].place == Place(str(tmp_path / "0.yaml"), 11)


def repr_of_everything(value, seen=None):
    """The text of every attribute of every record, those that a repr leaves out included."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return ""
    seen.add(id(value))
    if isinstance(value, dict):
        return "".join(repr_of_everything(each, seen) for pair in value.items() for each in pair)
    if isinstance(value, (list, tuple, set, frozenset)):
        return "".join(repr_of_everything(each, seen) for each in value)
    names = [*getattr(type(value), "__slots__", ()), *getattr(value, "__dict__", ())]
    return repr(value) + "".join(repr_of_everything(getattr(value, name), seen) for name in names)
