/** What is looked at of a package.json, and of an entry of a lock file. */
export interface Manifest {
  readonly version?: string;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

/** One package of a lock file. */
export interface LockedPackage extends Manifest {
  readonly dev?: boolean;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
}

/** What is looked at of a package-lock.json: packages by their folders, the project itself at "". */
export interface Lock {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

// Scripts that npm runs by itself on installing.
const HOOKS = /^(?:pre|post)?(?:install|prepare|prepublish|dependencies)$/;

/** What a package.json shouldn't have: dependencies other than `packages` for development, inexact versions, hooks. */
export function manifestFaults(manifest: Manifest, packages: readonly string[]): string[] {
  const fields = Object.keys(manifest).filter((name) =>
    /dependencies|overrides|workspaces/i.test(name),
  );
  const faults = fields.filter((name) => name !== "devDependencies").map((name) => `has ${name}`);
  const names = Object.keys(manifest.devDependencies ?? {});
  if (names.sort().join() !== [...packages].sort().join())
    faults.push(`devDependencies are ${names.join(", ")}`);
  for (const [name, version] of Object.entries(manifest.devDependencies ?? {})) {
    if (!/^\d+\.\d+\.\d+$/.test(version)) faults.push(`${name}: ${version} is not exact`);
  }
  for (const name of Object.keys(manifest.scripts ?? {}))
    if (HOOKS.test(name)) faults.push(`script ${name}`);
  return faults;
}

/** What a lock file has but shouldn't: packages that those of `manifest` don't ask for, or any without a hash. */
export function lockFaults({ packages }: Lock, manifest: Manifest): string[] {
  const faults: string[] = [];
  const { "": project, ...others } = packages;
  if (JSON.stringify(project?.devDependencies) !== JSON.stringify(manifest.devDependencies)) {
    faults.push("other devDependencies than package.json");
  }
  const asked = closure(others, Object.keys(manifest.devDependencies ?? {}));
  for (const [path, entry] of Object.entries(others)) {
    if (!asked.has(path)) faults.push(`${path}: nobody asks for it`);
    if (!/^sha512-[A-Za-z0-9+/]{86}==$/.test(entry.integrity ?? ""))
      faults.push(`${path}: no integrity`);
    if (entry.dev !== true) faults.push(`${path}: not for development only`);
    if (entry.resolved !== undefined) faults.push(`${path}: resolved`);
    if (entry.link === true) faults.push(`${path}: a link`);
    if (entry.hasInstallScript === true) faults.push(`${path}: an install script`);
    const exact = manifest.devDependencies?.[path.replace("node_modules/", "")];
    if (exact !== undefined && exact !== entry.version)
      faults.push(`${path}: ${entry.version} instead of ${exact}`);
  }
  for (const path of asked) if (!(path in others)) faults.push(`${path}: missing`);
  return faults;
}

/** The folders of packages and of all that they ask for. */
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
