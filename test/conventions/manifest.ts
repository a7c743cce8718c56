/** The members of a package.json, and of an entry of a lock file, that the rules are about. */
export interface Manifest {
  readonly version?: string;
  /** Commands by name. */
  readonly scripts?: Readonly<Record<string, string>>;
  /** Ranges of versions by the names of packages; so are the next three. */
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

/** One package of a lock file. */
export interface LockedPackage extends Manifest {
  /** Whether only development needs it. */
  readonly dev?: boolean;
  /** The hash of its archive. */
  readonly integrity?: string;
  /** Where it came from. */
  readonly resolved?: string;
  /** Whether it is a link to another folder. */
  readonly link?: boolean;
  /** Whether npm runs something of the package when it installs it. */
  readonly hasInstallScript?: boolean;
}

/** The part of a package-lock.json that the rules are about. */
export interface Lock {
  /** Packages by their folders. The project itself is at "". */
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

/** Scripts that npm runs by itself when it installs something. */
const HOOKS = /^(?:pre|post)?(?:install|prepare|prepublish|dependencies)$/;

const MAX_SCRIPT_LENGTH = 100;

/**
 * What is wrong with a package.json: other dependencies than `packages` for development, inexact
 * versions, scripts that run on installing, and scripts that are too long to read.
 */
export function manifestProblems(manifest: Manifest, packages: readonly string[]): string[] {
  const { devDependencies = {}, scripts = {} } = manifest;
  const problems = Object.keys(manifest)
    .filter((name) => /dependencies|overrides|workspaces/i.test(name))
    .filter((name) => name !== "devDependencies")
    .map((name) => `has ${name}`);
  const names = Object.keys(devDependencies).sort().join(", ");
  if (names !== [...packages].sort().join(", ")) problems.push(`devDependencies are ${names}`);
  for (const [name, version] of Object.entries(devDependencies)) {
    if (!/^\d+\.\d+\.\d+$/.test(version)) problems.push(`${name}: ${version} is not exact`);
  }
  for (const [name, command] of Object.entries(scripts)) {
    if (HOOKS.test(name)) problems.push(`script ${name} runs on installing`);
    if (command.length > MAX_SCRIPT_LENGTH) problems.push(`script ${name} is too long`);
  }
  return problems;
}

/**
 * Packages in a lock file that `manifest` does not need, that no hash locks, or that run something.
 */
export function lockProblems({ packages }: Lock, manifest: Manifest): string[] {
  const problems: string[] = [];
  const { "": project, ...others } = packages;
  const { devDependencies = {} } = manifest;
  if (JSON.stringify(project?.devDependencies) !== JSON.stringify(devDependencies)) {
    problems.push("other devDependencies than package.json");
  }
  const needed = closure(others, Object.keys(devDependencies));
  for (const [path, entry] of Object.entries(others)) {
    const version = devDependencies[path.replace("node_modules/", "")] ?? entry.version;
    if (!needed.has(path)) problems.push(`${path}: nothing depends on it`);
    if (version !== entry.version) problems.push(`${path}: ${entry.version}, not ${version}`);
    problems.push(...entryProblems(entry).map((problem) => `${path}: ${problem}`));
  }
  for (const path of needed) {
    if (!(path in others)) problems.push(`${path}: missing`);
  }
  return problems;
}

function entryProblems(entry: LockedPackage): string[] {
  const problems: string[] = [];
  if (!/^sha512-[A-Za-z0-9+/]{86}==$/.test(entry.integrity ?? "")) problems.push("no integrity");
  if (entry.dev !== true) problems.push("not for development only");
  if (entry.resolved !== undefined) problems.push("resolved");
  if (entry.link === true) problems.push("a link");
  if (entry.hasInstallScript === true) problems.push("an install script");
  return problems;
}

/** The folders of the named packages and of all that they depend on. */
function closure(packages: Lock["packages"], names: readonly string[]): ReadonlySet<string> {
  const found = new Set<string>();
  const waiting = [...names];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const path = `node_modules/${name}`;
    if (found.has(path)) continue;
    found.add(path);
    const { dependencies, optionalDependencies, peerDependencies } = packages[path] ?? {};
    waiting.push(...Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies }));
  }
  return found;
}
