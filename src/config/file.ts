import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from "node:fs";

/** What reading a file gives: its content, or why there is none. */
export type FileResult = FileContent | FileProblem;

/** A file that has been read. */
export interface FileContent {
  readonly kind: "content";
  readonly bytes: Buffer;
  /** The mode of the file itself, even if the path is a link. */
  readonly mode: number;
}

/** A file that can't be read. */
export interface FileProblem {
  readonly kind: "problem";
  /** Whether nothing has that path. */
  readonly isMissing: boolean;
  /** What is wrong, with the path. */
  readonly message: string;
}

/** The most that a file may hold, in bytes. */
const MAX_BYTES = 1_048_576;

// A FIFO without a writer must not block the program, should one take the place of the file between
// the look at it and its opening; nor may a terminal become that of the program.
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

const GROUP_OR_OTHERS_READ = 0o044;
const GROUP_OR_OTHERS_WRITE = 0o022;

/**
 * Reads a regular file of at most 1 MiB. Links are followed. Anything else is a problem at once: a
 * FIFO or a device is not opened, and a larger file is not read.
 */
export function readRegularFile(path: string): FileResult {
  try {
    return problemOf(path, statSync(path)) ?? readOpened(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const message = `the file ${path} can't be read (${code})`;
    return { kind: "problem", isMissing: code === "ENOENT", message };
  }
}

/** Says what others than its owner can do with a file of this mode; undefined if nothing. */
export function modeWarning(mode: number): string | undefined {
  const verbs: string[] = [];
  if ((mode & GROUP_OR_OTHERS_READ) !== 0) verbs.push("read");
  if (canBeWrittenByOthers(mode)) verbs.push("written");
  if (verbs.length === 0) return undefined;
  return `can be ${verbs.join(" and ")} by group or others: chmod 600 it`;
}

/** Tells whether others than its owner can write to a file of this mode. */
export function canBeWrittenByOthers(mode: number): boolean {
  return (mode & GROUP_OR_OTHERS_WRITE) !== 0;
}

/**
 * Tells whether output to a file descriptor goes to a file that has content, as after `>>`. A shell
 * opens that file for writing only, so its last character can't be looked at.
 */
export function isAppendedTo(descriptor: number): boolean {
  const stats = fstatSync(descriptor);
  return stats.isFile() && stats.size > 0;
}

/** Opens the file, and looks again at what has been opened: it may have been replaced meanwhile. */
function readOpened(path: string): FileResult {
  const descriptor = openSync(path, OPEN_FLAGS);
  try {
    const stats = fstatSync(descriptor);
    const found = problemOf(path, stats);
    if (found !== undefined) return found;
    const bytes = readUpTo(descriptor, MAX_BYTES + 1);
    if (bytes.length > MAX_BYTES) return tooLarge(path);
    return { kind: "content", bytes, mode: stats.mode };
  } finally {
    closeSync(descriptor);
  }
}

function problemOf(path: string, stats: Stats): FileProblem | undefined {
  if (!stats.isFile()) return problem(`the file ${path} is not a regular file`);
  return stats.size > MAX_BYTES ? tooLarge(path) : undefined;
}

function tooLarge(path: string): FileProblem {
  return problem(`the file ${path} is larger than 1 MiB`);
}

function problem(message: string): FileProblem {
  return { kind: "problem", isMissing: false, message };
}

/** Reads to the end, whatever size the file claims to have, but not past `limit` bytes. */
function readUpTo(descriptor: number, limit: number): Buffer {
  const bytes = Buffer.alloc(limit);
  let length = 0;
  while (length < limit) {
    const count = readSync(descriptor, bytes, length, limit - length, null);
    if (count === 0) break;
    length += count;
  }
  return bytes.subarray(0, length);
}
