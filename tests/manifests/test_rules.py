"""The rules beside what test_real.py shows: levels, clusters, repeated input, ignoring, messages without values."""

from __future__ import annotations

import json

import pytest

from liveconfig._manifests import LEVELS, RULES, audit, unknown_ignores, used_by, users_of, without_ignored


def pod(spec, *, name="app", kind="Pod"):
    return f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def config_map(name="app", data="{a: b}", more=""):
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {data}\n{more}"


MOUNT = "{containers: [{name: app, volumeMounts: [{name: v, mountPath: /v}]}], volumes: [{name: v, %s}]}"
KEY_REF = "configMapKeyRef: {name: app, key: a}"
ENV = "{containers: [{name: app, env: [{name: A, valueFrom: {%s}}]}]}"


class TestMissingObject:
    def test_configmap(self, rules):
        """A ConfigMap that is not in the input is a warning."""
        assert rules(pod(MOUNT % "configMap: {name: app}")) == [("warning", "missing-object")]

    def test_secret(self, rules):
        """A Secret that is not in the input is a note: most repositories do not hold their Secrets."""
        assert rules(pod(MOUNT % "secret: {secretName: app}")) == [("note", "missing-object")]

    @pytest.mark.parametrize("source", ["configMap: {name: app}", "secret: {secretName: app}"])
    def test_cluster(self, rules, source):
        """An object that is missing in a cluster is an error."""
        assert rules(pod(MOUNT % source), cluster=True) == [("error", "missing-object")]

    @pytest.mark.parametrize(
        "source",
        [
            "configMap: {name: kube-root-ca.crt}",
            "configMap: {name: app, optional: true}",
            "projected: {sources: [{secret: {name: app, optional: true}}]}",
        ],
    )
    def test_never(self, rules, source):
        """An optional reference and the cluster's own CA are never missing."""
        assert rules(pod(MOUNT % source), cluster=True) == []

    def test_once_a_workload(self, rules):
        """A workload that uses a missing object in several ways has one finding of it."""
        spec = (
            "{containers: [{name: a, envFrom: [{configMapRef: {name: app}}], volumeMounts: [{name: v, mountPath: /v}]}],"
            " volumes: [{name: v, configMap: {name: app}}]}"
        )
        assert rules(pod(spec)).count(("warning", "missing-object")) == 1

    def test_not_listed(self, found):
        """Where a cluster did not list its Secrets, none is called missing."""
        manifests = found(pod(MOUNT % "secret: {secretName: app}"))
        assert audit(manifests, cluster=True, unlisted=("Secret",)) == ()


class TestMissingKey:
    def test_nearest(self, found):
        """A missing key names the key that comes near."""
        manifests = found(
            config_map(data="{log-level: info}"), pod(ENV % "configMapKeyRef: {name: app, key: log_level}")
        )
        [finding] = [finding for finding in audit(manifests) if finding.rule == "missing-key"]
        assert finding.message == "configmap/app, used by pod/app, has no key log_level; did you mean log-level?"

    def test_repeated_input(self, rules):
        """Where the input has several objects of one name, the keys of all of them are known."""
        objects = [config_map(data="{a: b}"), config_map(data="{c: d}")]
        assert rules(*objects, pod(ENV % "configMapKeyRef: {name: app, key: c}")) == [("warning", "frozen-env")]

    def test_unknown_keys(self, rules):
        """A Secret without data has any key."""
        secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: app}\n"
        assert rules(secret, pod(ENV % "secretKeyRef: {name: app, key: x}")) == [("warning", "frozen-env")]

    def test_a_key_of_binary_data_for_a_variable(self, found):
        """The kubelet makes no variable of a key in ``binaryData``: the container does not start, so it is missing."""
        text = config_map(data="{a: b}", more="binaryData: {logo: AA==}\n")
        manifests = found(text, pod(ENV % "configMapKeyRef: {name: app, key: logo}"))
        [message] = [finding.message for finding in audit(manifests) if finding.rule == "missing-key"]
        expected = "has the key logo in `binaryData` only, of which no variable is made"
        assert message == f"configmap/app, used by pod/app, {expected}"

    @pytest.mark.parametrize("source", ["{name: app}", "{name: app, items: [{key: logo, path: logo}]}"])
    def test_a_key_of_binary_data_for_a_file(self, rules, source):
        """A key in ``binaryData`` is a file like any other."""
        text = config_map(data="{a: b}", more="binaryData: {logo: AA==}\n")
        mount = MOUNT.replace("mountPath: /v", "mountPath: /v, subPath: logo")
        assert rules(text, pod(mount % f"configMap: {source}")) == [("error", "frozen-subpath")]


PROJECTED = (
    "projected: {sources: [{configMap: {name: app}}, {serviceAccountToken: {path: token}}, "
    "{downwardAPI: {items: [{path: pod/labels}]}}]}"
)


class TestSubPath:
    def uses(self, found, sub_path, volume, text=None):
        """The ConfigMaps that a mount with a subPath reads, each with its keys."""
        mount = MOUNT.replace("mountPath: /v", f"mountPath: /v, subPath: {sub_path}")
        manifests = found(config_map() if text is None else text, pod(mount % volume))
        rules = {finding.rule for finding in audit(manifests)}
        uses = [use for use in manifests.uses if use.how == "subPath"]
        return [(use.object.name, [name for name, _ in use.keys or ()]) for use in uses], rules

    @pytest.mark.parametrize("sub_path", ["token", "./token", "pod/labels", "pod", "pod/"])
    @pytest.mark.parametrize("text", [None, ""], ids=["a ConfigMap with other keys", "a ConfigMap that is not known"])
    def test_a_token(self, found, sub_path, text):
        """A subPath to a token or a field of the pod is none to the ConfigMap beside it, which is used all the same."""
        uses, rules = self.uses(found, sub_path, PROJECTED, text)
        assert uses == []
        assert rules == ({"missing-object"} if text == "" else set())

    def test_a_key_with_the_path_of_a_token(self, found):
        """A ConfigMap that has a key with the path of a token may be what a subPath mounts."""
        uses, _ = self.uses(found, "token", PROJECTED, config_map(data="{token: x}"))
        assert uses == [("app", ["token"])]

    def test_a_source_of_another_kind(self, found):
        """What a source of an unknown kind makes is not looked for in the ConfigMap beside it."""
        uses, rules = self.uses(found, "x", "projected: {sources: [{configMap: {name: app}}, {another: {}}]}")
        assert (uses, rules) == ([], set())

    @pytest.mark.parametrize(
        ("sub_path", "items"),
        [
            ("./a", ""),
            ("a/", ""),
            (".//a", ""),
            ("./conf", ", items: [{key: a, path: conf/app.yaml}]"),
            ("conf//app.yaml", ", items: [{key: a, path: conf/app.yaml}]"),
            ("conf", ", items: [{key: a, path: ./conf//app.yaml}]"),
        ],
    )
    def test_paths_that_are_not_in_normal_form(self, found, sub_path, items):
        """A subPath and the path of an item are compared as the kubelet reads them, without needless dots and slashes."""
        uses, rules = self.uses(found, sub_path, f"configMap: {{name: app{items}}}")
        assert (uses, rules) == ([("app", ["a"])], {"frozen-subpath"})

    @pytest.mark.parametrize("sub_path", [".", "./"])
    def test_the_whole_volume(self, found, sub_path):
        """A subPath that is the whole volume takes all keys."""
        uses, rules = self.uses(found, sub_path, "configMap: {name: app}")
        assert (uses, rules) == ([("app", [])], {"frozen-subpath"})

    def test_a_key_that_no_source_has(self, found):
        """A subPath that nothing in the volume has is a missing key of the first source."""
        uses, rules = self.uses(found, "tokne", PROJECTED)
        assert uses == [("app", ["tokne"])]
        assert "missing-key" in rules

    @pytest.mark.parametrize(
        ("sub_path", "volume", "message"),
        [
            ("a", "configMap: {name: app, items: [{key: a, path: app.yaml}]}", "a; did you mean app.yaml?"),
            ("a", "configMap: {name: app, optional: true, items: [{key: a, path: b}]}", "a; did you mean b?"),
            (
                "conf/a",
                "configMap: {name: app, items: [{key: a, path: conf/b}, {key: c, path: d}]}",
                "conf/a; did you mean conf/b?",
            ),
            (
                "a",
                "projected: {sources: [{secret: {name: x}}, {configMap: {name: app, items: [{key: a, path: b}]}}]}",
                "a; did you mean b?",
            ),
            ("zzz", "configMap: {name: app, items: [{key: a, path: b}, {key: c, path: d}]}", "zzz"),
        ],
    )
    def test_a_path_that_no_item_has(self, found, sub_path, volume, message):
        """A subPath is the path of an entry of ``items``, not its key: any other is missing, for optional objects too."""
        mount = MOUNT.replace("mountPath: /v", f"mountPath: /v, subPath: {sub_path}")
        secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ndata: {b: eA==}\n"
        manifests = found(config_map(data="{a: x, c: y}"), secret, pod(mount % volume))
        [finding] = [finding for finding in audit(manifests) if finding.rule == "missing-key"]
        assert finding.message == f"configmap/app, used by pod/app: no entry of `items` has the path {message}"
        assert (str(finding.object), finding.place.line) == ("configmap/app", 4)

    def test_a_source_that_is_not_mounted(self, rules):
        """A source that no subPath mounts is needed for the volume: it is no unused object, and may be missing."""
        mount = MOUNT.replace("mountPath: /v", "mountPath: /v, subPath: a")
        volume = "projected: {sources: [{configMap: {name: app}}, {configMap: {name: other}}]}"
        found = rules(config_map(), config_map("other", "{b: c}"), pod(mount % volume))
        assert found == [("error", "frozen-subpath")]
        assert ("warning", "missing-object") in rules(config_map(), pod(mount % volume))

    def test_a_variable_from_a_token(self, found):
        """A variable from a file of a volume that nobody can write is set from nothing but that volume."""
        spec = (
            "{containers: [{name: app, env: [{name: A, valueFrom: {fileKeyRef: {volumeName: v, path: token, key: a}}}],"
            " volumeMounts: [{name: w, mountPath: /w}, {name: v, mountPath: /v}]}],"
            " volumes: [{name: w, secret: {secretName: s}}, {name: v, %s}]}"
        )
        uses = [use.object for use in found(config_map(), pod(spec % PROJECTED)).uses if use.how == "fileKeyRef"]
        assert uses == [None]


class TestFrozen:
    @pytest.mark.parametrize("section", ["containers", "initContainers", "ephemeralContainers"])
    def test_env_of_each_kind_of_container(self, rules, section):
        """A variable is frozen in every kind of container."""
        spec = "{containers: [{name: main}], %s: [{name: app, env: [{name: A, valueFrom: {configMapKeyRef: {name: app, key: a}}}]}]}"
        if section == "containers":
            spec = spec.replace("containers: [{name: main}], ", "")
        assert rules(config_map(), pod(spec % section)) == [("warning", "frozen-env")]

    def test_subpath_in_an_init_container(self, rules):
        """A subPath in an init container is no error of its own: what counts is that the container runs once."""
        spec = (
            "{containers: [{name: main}], initContainers: [{name: i, volumeMounts: [{name: v, mountPath: /v, subPath: a}]}],"
            " volumes: [{name: v, configMap: {name: app}}]}"
        )
        assert rules(config_map(), pod(spec)) == [("warning", "frozen-init-only")]

    def test_subpath_beside_an_init_container(self, rules):
        """An object that a container mounts with subPath is not one that only the init container mounts."""
        spec = (
            "{containers: [{name: main, volumeMounts: [{name: v, mountPath: /d/a, subPath: a}]}],"
            " initContainers: [{name: i, volumeMounts: [{name: v, mountPath: /v}]}],"
            " volumes: [{name: v, configMap: {name: app}}]}"
        )
        assert rules(config_map(), pod(spec)) == [("error", "frozen-subpath")]

    def test_a_container_without_a_name(self, found):
        """A finding in a container without a name says that it has none."""
        [finding] = audit(found(config_map(), pod(ENV.replace("name: app, env", "image: i, env") % KEY_REF)))
        assert finding.message.startswith("A in container (no name) of pod/app is set from a of configmap/app")

    def test_immutable_outweighs(self, rules):
        """The content of an immutable object cannot change, however it is used: one note, no warning."""
        spec = "{containers: [{name: app, envFrom: [{configMapRef: {name: app}}, {configMapRef: {name: app}}]}]}"
        assert rules(config_map(more="immutable: true\n"), pod(spec)) == [("note", "frozen-immutable")]

    def test_empty_subpath(self, rules):
        """An empty subPath is none."""
        mount = MOUNT.replace("mountPath: /v", "mountPath: /v, subPath: ''")
        assert rules(config_map(), pod(mount % "configMap: {name: app}")) == []


class TestRestartedAnyway:
    def deployment(self, annotations, inner, volumes="configMap: {name: app}"):
        spec = MOUNT % volumes
        return (
            f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, annotations: {annotations}}}\n"
            f"spec: {{template: {{metadata: {{annotations: {inner}}}, spec: {spec}}}}}\n"
        )

    @pytest.mark.parametrize(
        ("annotations", "inner", "expected"),
        [
            ('{reloader.stakater.com/auto: "true"}', "{}", True),
            ("{}", '{reloader.stakater.com/auto: "true"}', True),
            ('{configmap.reloader.stakater.com/auto: "true"}', "{}", True),
            ('{secret.reloader.stakater.com/auto: "true"}', "{}", False),
            ("{configmap.reloader.stakater.com/reload: 'x,app'}", "{}", True),
            ("{configmap.reloader.stakater.com/reload: 'x'}", "{}", False),
            ('{wave.pusher.com/update-on-config-change: "true"}', "{}", True),
            ("{}", "{checksum/config: abc}", True),
            ("{}", "{checksum/secrets: abc}", False),
            ("{}", "{checksum/all: abc}", True),
            ("{checksum/config: abc}", "{}", False),
            (
                '{reloader.stakater.com/auto: "true", configmaps.exclude.reloader.stakater.com/reload: app}',
                "{}",
                False,
            ),
        ],
    )
    def test_annotations(self, rules, annotations, inner, expected):
        """Reloader's, Wave's and checksum annotations count where they restart the workload for this object."""
        found = rules(config_map(), self.deployment(annotations, inner))
        assert found == [("warning", "restarted-anyway")] * expected

    def test_a_container_without_a_name(self, rules):
        """A container without a name mounts the object as any other does."""
        deployment = self.deployment('{reloader.stakater.com/auto: "true"}', "{}").replace(
            "name: app, v", "image: i, v"
        )
        assert rules(config_map(), deployment) == [("warning", "restarted-anyway")]

    def test_a_checksum_that_is_needed(self, rules):
        """A checksum is right where one of the objects that it can be of is frozen."""
        volumes = "projected: {sources: [{configMap: {name: app}}]}"
        deployment = self.deployment("{}", "{checksum/config: abc}", volumes)
        with_env = deployment.replace(
            "name: app, volumeMounts", "name: app, envFrom: [{configMapRef: {name: env}}], volumeMounts"
        )
        found = rules(config_map(), config_map("env"), with_env)
        assert found == [("warning", "frozen-env-from")]

    def test_in_a_pod(self, rules):
        """A checksum on a pod restarts nothing."""
        text = pod(MOUNT % "configMap: {name: app}").replace(
            "{name: app}\nspec", "{name: app, annotations: {checksum/x: a}}\nspec"
        )
        assert rules(config_map(), text) == []


class TestUsedBy:
    def test_cluster(self, found):
        """In a cluster a name that no workload has is stale; in manifests it may be another repository's."""
        text = config_map().replace("{name: app}", "{name: app, annotations: {used-by-deployments: 'app, gone'}}")
        manifests = found(text, pod(MOUNT % "configMap: {name: app}"))
        assert [finding.rule for finding in audit(manifests)] == []
        [finding] = audit(manifests, cluster=True)
        assert finding.message.endswith("names gone, which does not use it")

    @pytest.mark.parametrize("entry", ["app", "app (v1.0+)", "app: the shop", "pod/app", "'app'"])
    def test_forms(self, found, entry):
        """A workload is named with its kind or a note, too."""
        text = config_map().replace(
            "metadata: {name: app}",
            f"metadata:\n  name: app\n  annotations:\n    used-by-deployments: |\n      - {entry}",
        )
        manifests = found(text, pod(MOUNT % "configMap: {name: app}"))
        assert "used-by-deployments" in text
        assert audit(manifests) == ()

    def annotated(self, found, value, *workloads):
        """What is wrong with an annotation, and what it should be, where these workloads use the object."""
        spec = {"containers": [{"name": "c", "envFrom": [{"configMapRef": {"name": "app"}}]}]}
        texts = [
            json.dumps(
                {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "spec": {"template": {"spec": spec}}}
            )
            for kind, name in (each.split("/") for each in workloads)
        ]
        metadata = {"name": "app", "annotations": {"used-by-deployments": value}}
        config = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "b"}})
        manifests = found(config, *texts)
        [data] = manifests.objects
        faults = [each.message for each in audit(manifests, cluster=True) if each.rule == "used-by-outdated"]
        return [each.partition("configmap/app ")[2] for each in faults], used_by(data, users_of(manifests)[data.id], [])

    @pytest.mark.parametrize(
        ("value", "entries"),
        [
            ("- web (v1.0+, owner: payments)\n- api (v2)", ["web (v1.0+, owner: payments)", "api (v2)"]),
            ("web (a, b), api", ["web (a, b)", "api"]),
            ("web api", ["web", "api"]),
            ("web (v1, old)  api (v2)", ["web (v1, old)", "api (v2)"]),
            ("- web: at the start, once\n- api: later", ["web: at the start, once", "api: later"]),
            ("- web [v1]\n- api", ["web [v1]", "api"]),
            ('["web", "api"]', ["web", "api"]),
            ("[\n  'web',\n  'api'\n]", ["web", "api"]),
            ("* web\n* api", ["web", "api"]),
            ("deployment/web, deployment/api (a", ["deployment/web", "deployment/api (a"]),
        ],
    )
    def test_entries(self, found, value, entries):
        """Entries stand on lines, or in one line with commas or spaces; a note stays whole, and is kept."""
        faults, should_be = self.annotated(found, value, "Deployment/web", "Deployment/api")
        assert (faults, should_be) == ([], "".join(f"- {each}\n" for each in entries))

    @pytest.mark.parametrize(
        ("value", "faults", "should_be"),
        [
            ("web", ["does not name web (CronJob)"], "- web\n- web (CronJob)\n"),
            ("- web (CronJob)\n", ["does not name web (Deployment)"], "- web (CronJob)\n- web\n"),
            ("cronjob/web, web", [], "- cronjob/web\n- web\n"),
        ],
    )
    def test_two_kinds_of_one_name(self, found, value, faults, should_be):
        """Workloads of two kinds with one name take an entry each."""
        assert self.annotated(found, value, "Deployment/web", "CronJob/web") == (faults, should_be)

    def test_a_long_line(self, found):
        """An annotation with very many commas, spaces and parentheses is read in no time."""
        for text in (", " * 200_000, "(," * 200_000, "a  " * 200_000):
            faults, _ = self.annotated(found, "web, " + text, "Deployment/web")
            assert not [fault for fault in faults if "does not name" in fault]


class TestIgnored:
    def test_counts(self, found):
        """Ignored findings are counted."""
        text = config_map().replace(
            "{name: app}", "{name: app, annotations: {liveconfig.dev/ignore-unused-object: why}}"
        )
        manifests = found(text)
        ignored = without_ignored(audit(manifests), manifests)
        assert (ignored.findings, ignored.count) == ((), 1)

    def test_without_a_reason(self, found):
        """An annotation without a reason silences nothing, and the finding says so."""
        text = config_map().replace(
            "{name: app}", "{name: app, annotations: {liveconfig.dev/ignore-unused-object: ' '}}"
        )
        manifests = found(text)
        [finding] = without_ignored(audit(manifests), manifests).findings
        assert "liveconfig.dev/ignore-unused-object gives no reason" in finding.message

    def test_no_such_rule(self, found):
        """An annotation for a rule that does not exist is named, with its line and the nearest rule."""
        text = config_map().replace("{name: app}", "{name: app, annotations: {liveconfig.dev/ignore-frozen-evn: why}}")
        [note] = unknown_ignores(found(text))
        assert ":3: liveconfig.dev/ignore-frozen-evn silences nothing" in note
        assert note.endswith("did you mean liveconfig.dev/ignore-frozen-env?")

    def test_of_an_ingress(self, rules):
        """An annotation of an Ingress silences what is found in it."""
        ingress = (
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\n"
            "metadata: {name: web, annotations: {liveconfig.dev/ignore-missing-object: made by hand}}\n"
            "spec: {tls: [{secretName: cert}]}\n"
        )
        assert rules(ingress) == []


def test_order(found):
    """The most serious findings come first, then by rule and place."""
    text = config_map() + "---\n" + pod(ENV % "configMapKeyRef: {name: app, key: x}") + "---\n" + config_map("b")
    levels = [finding.level for finding in audit(found(text))]
    assert levels == sorted(levels, key=LEVELS.index)


def test_each_rule_is_described():
    """Each rule has a name in kebab-case, a level, a title and advice."""
    for name, rule in RULES.items():
        assert name == rule.name == name.lower().replace("_", "-")
        assert rule.level in LEVELS
        assert rule.title
        assert rule.advice.endswith(".")
