import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

import { readConfiguration, type Settings } from "../../src/config/settings.ts";
import { repository } from "../support/checkout.ts";
import { tempDirectory } from "../support/temp.ts";
import { parseYaml, valueAt, type Yaml } from "../support/yaml.ts";

/** The most memory that one process takes, as design and soak have it. */
const MAX_PROCESS_MIB = 512;

const EXAMPLES = "src/process/examples";

describe("Dockerfile", () => {
  const lines = read("Dockerfile").split("\n");

  test("copies only what exists, from the top of the repository", () => {
    const sources = valuesOf(lines, "COPY").map((value) => value.split(" ")[0] ?? "");
    assert.deepEqual(sources, ["package.json", "src"]);
    for (const source of sources) assert.ok(existsSync(join(repository, source)), source);
  });

  test("runs the program from source, on a Node that can, and not as root", () => {
    assert.deepEqual(valuesOf(lines, "CMD"), ['["node", "src/main.ts"]']);
    assert.deepEqual(valuesOf(lines, "USER"), ["node"]);
    const [image = ""] = valuesOf(lines, "FROM");
    assert.ok(Number(/^node:(\d+)-slim$/.exec(image)?.[1]) >= 24, image);
  });
});

describe("compose.yaml", () => {
  const [compose] = parseYaml(read("compose.yaml"));
  const api = valueAt(compose, "services", "api");

  test("builds the Dockerfile at the top of the repository", () => {
    const context = join(repository, EXAMPLES, text(valueAt(api, "build", "context")), "/");
    assert.equal(context, join(repository, "/"));
    const dockerfile = text(valueAt(api, "build", "dockerfile"));
    assert.equal(dockerfile, `${EXAMPLES}/Dockerfile`);
  });

  test("mounts the keys file where the setting expects it", () => {
    assert.deepEqual(valueAt(api, "secrets"), ["keys"]);
    assert.equal(valueAt(api, "environment", "SERVICE_API_KEYS_FILE"), "/run/secrets/keys");
    const file = join(repository, EXAMPLES, text(valueAt(compose, "secrets", "keys", "file")));
    assert.equal(file, join(repository, "keys.txt"));
  });

  test("restarts the service, gives it time to stop, and bounds its memory", (t) => {
    assert.equal(valueAt(api, "restart"), "unless-stopped");
    assert.ok(seconds(valueAt(api, "stop_grace_period")) > stopSeconds(settings(t, {})));
    assert.ok(Number.parseInt(text(valueAt(api, "mem_limit")), 10) > MAX_PROCESS_MIB);
  });

  test("listens on this machine only, and takes all rights away", () => {
    assert.deepEqual(valueAt(api, "ports"), ["127.0.0.1:8000:8000"]);
    assert.equal(valueAt(api, "read_only"), true);
    assert.deepEqual(valueAt(api, "cap_drop"), ["ALL"]);
    assert.deepEqual(valueAt(api, "security_opt"), ["no-new-privileges:true"]);
  });
});

describe("kubernetes.yaml", () => {
  const [deployment, service] = parseYaml(read("kubernetes.yaml"));
  const pod = valueAt(deployment, "spec", "template", "spec");
  const container = valueAt(pod, "containers", 0);
  const env = new Map(
    list(valueAt(container, "env")).map((one) => [
      text(valueAt(one, "name")),
      text(valueAt(one, "value")),
    ]),
  );

  test("keeps to Pod Security restricted", () => {
    assert.deepEqual(violations(pod), []);
  });

  test("has settings that the program accepts, and time to stop with them", (t) => {
    const { SERVICE_API_KEYS_FILE: file, ...variables } = Object.fromEntries(env);
    assert.equal(file, "/run/secrets/api/keys");
    const grace = valueAt(pod, "terminationGracePeriodSeconds");
    assert.ok(Number(grace) > stopSeconds(settings(t, variables)));
  });

  test("has room for a process at its worst", () => {
    const limit = text(valueAt(container, "resources", "limits", "memory"));
    assert.ok(Number(/^(\d+)Mi$/.exec(limit)?.[1]) > MAX_PROCESS_MIB, limit);
  });

  test("mounts the keys as a file that the pod's group can read", () => {
    const [mount] = list(valueAt(container, "volumeMounts"));
    assert.equal(valueAt(mount, "mountPath"), "/run/secrets/api");
    const [volume] = list(valueAt(pod, "volumes"));
    assert.equal(valueAt(volume, "name"), valueAt(mount, "name"));
    assert.equal(valueAt(volume, "secret", "defaultMode"), 0o440);
    assert.equal(valueAt(pod, "securityContext", "fsGroup"), 1000);
  });

  test("leads requests to pods that are ready, and kills none that drains", () => {
    assert.equal(valueAt(container, "readinessProbe", "httpGet", "path"), "/health");
    assert.equal(valueAt(container, "livenessProbe", "httpGet"), undefined);
    const labels = valueAt(deployment, "spec", "template", "metadata", "labels");
    assert.deepEqual(valueAt(deployment, "spec", "selector", "matchLabels"), labels);
    assert.deepEqual(valueAt(service, "spec", "selector"), labels);
    const port = valueAt(container, "ports", 0, "containerPort");
    assert.equal(valueAt(service, "spec", "ports", 0, "targetPort"), port);
    assert.equal(valueAt(container, "readinessProbe", "httpGet", "port"), port);
  });

  const changes: readonly (readonly [string, string, string])[] = [
    ["root", "runAsNonRoot: true", "runAsNonRoot: false"],
    ["uid 0", "runAsUser: 1000", "runAsUser: 0"],
    ["any system call", "type: RuntimeDefault", "type: Unconfined"],
    ["more rights", "allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true"],
    ["capabilities", "- ALL", "- NET_RAW"],
    ["a folder of the host", "secret:", "hostPath:"],
  ];
  for (const [what, before, after] of changes) {
    test(`would not keep to it with ${what}`, () => {
      const changed = read("kubernetes.yaml").replace(before, after);
      const [other] = parseYaml(changed);
      assert.equal(violations(valueAt(other, "spec", "template", "spec")).length, 1);
    });
  }
});

describe("the reader of YAML", () => {
  test("reads mappings, sequences and scalars", () => {
    const source = '# a\nb: 1 # c\nd:\n  - e: "f: g"\n    h: true\n  - 0440\ni-j: k:l\n---\n- m\n';
    assert.deepEqual(parseYaml(source), [
      { b: 1, d: [{ e: "f: g", h: true }, 0o440], "i-j": "k:l" },
      ["m"],
    ]);
  });

  for (const source of [
    "a: [b]",
    "a: {b: c}",
    "a: &b c",
    "a: |\n  b",
    "a: 1\na: 2",
    "a:\nb: 1",
    'a: "b #c"',
  ]) {
    test(`throws rather than guess: ${JSON.stringify(source)}`, () => {
      assert.throws(() => parseYaml(source));
    });
  }
});

/** What Pod Security "restricted" objects to in a pod, as its documentation lists the controls. */
function violations(pod: Yaml | undefined): string[] {
  const found: string[] = [];
  const check = (name: string, holds: boolean): void => {
    if (!holds) found.push(name);
  };
  const inPod = (name: string): Yaml | undefined => valueAt(pod, "securityContext", name);
  check("runAsNonRoot", inPod("runAsNonRoot") === true);
  check("runAsUser", inPod("runAsUser") !== 0);
  check("seccompProfile", valueAt(inPod("seccompProfile"), "type") === "RuntimeDefault");
  for (const name of ["hostNetwork", "hostPID", "hostIPC"]) {
    check(name, valueAt(pod, name) === undefined);
  }
  for (const volume of list(valueAt(pod, "volumes"))) {
    check("volumes", valueAt(volume, "secret") !== undefined);
  }
  for (const container of list(valueAt(pod, "containers"))) {
    const own = valueAt(container, "securityContext");
    check("allowPrivilegeEscalation", valueAt(own, "allowPrivilegeEscalation") === false);
    const dropped = valueAt(own, "capabilities", "drop");
    check("capabilities", list(dropped).includes("ALL"));
    check("added capabilities", valueAt(own, "capabilities", "add") === undefined);
    check("privileged", valueAt(own, "privileged") === undefined);
  }
  return found;
}

/** The settings that the program makes of these variables. */
function settings(t: Parameters<typeof tempDirectory>[0], variables: NodeJS.ProcessEnv): Settings {
  const env = { SERVICE_API_KEY: "svk_0123456789-abcdefghijklmnopqrstuvwxyz", ...variables };
  return readConfiguration(env, tempDirectory(t), Date.now()).settings;
}

/** How long the program may take to stop. */
function stopSeconds({ shutdownDelayMs, shutdownTimeoutMs }: Settings): number {
  return (shutdownDelayMs + shutdownTimeoutMs) / 1000;
}

function seconds(value: Yaml | undefined): number {
  return Number(/^(\d+)s$/.exec(text(value))?.[1]);
}

/** The values of an instruction of a Dockerfile. */
function valuesOf(lines: readonly string[], instruction: string): string[] {
  const prefix = `${instruction} `;
  return lines.filter((line) => line.startsWith(prefix)).map((line) => line.slice(prefix.length));
}

function text(value: Yaml | undefined): string {
  assert.ok(typeof value === "string", `${JSON.stringify(value)} is not a text`);
  return value;
}

function list(value: Yaml | undefined): readonly Yaml[] {
  assert.ok(Array.isArray(value), `${JSON.stringify(value)} is not a list`);
  return value as readonly Yaml[];
}

function read(name: string): string {
  return readFileSync(join(repository, EXAMPLES, name), "utf8");
}
