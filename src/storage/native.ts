import { createHash, randomBytes } from 'node:crypto'
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import Module, { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join, sep } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import { MillraceError } from '../runtime/index.js'
import type { Binding } from './binding.js'

/*
 * The prebuilt module of the package `rocksdb` 5.2.1 has three faults on Linux. No compiler is needed to mend them: they
 * are a matter of few bytes, so a copy with these bytes changed is loaded instead.
 *
 * 1. Node 22 and later abort the process when the module is loaded (SIGABRT, nothing to catch). The prebuild exports
 *    weak symbols of the C++ library in its old string layout, and the dynamic linker lets the symbols of the same name
 *    inside the node binary win over them: `std::regex` code of the one works on the data of the other. A symbol with
 *    hidden visibility is bound within its own file, so every weak function and object that the file defines is hidden.
 * 2. Iterators are made with `verify_checksums = false` (BaseIterator in binding.cc; get and getMany do verify), so a
 *    flipped byte in a table file would come back unnoticed. The store of 0 becomes one of 1. The code is looked for by
 *    pattern and left alone unless it is there exactly once.
 * 3. Checksums of blocks and of the log are computed by tables, as if no processor had the instruction (SSE 4.2, of 2008)
 *    that does eight bytes in three cycles: a tenth to an eighth of what reading a stream costs. The function, whose bytes must be
 *    exactly the known ones, is replaced by a loop of that instruction where the processor has it.
 *
 * The builds for macOS and Windows load everywhere and are left as they are: a changed byte would break the signature
 * that macOS asks for. There, and with a build from source, `iteratorsVerify` is false.
 */

/** Goes up with every change to what is mended, so that an older copy is not taken for this one. */
const patchVersion = 2

/** `fill_cache` and `verify_checksums` of ReadOptions (offsets 0x2d and 0x2c) in iterator_init; the 0 to mend is `at`. */
const iteratorPatterns = [
  // glibc: mov %r15b,0x2d(%r13); movb $0,0x2c(%r13)
  { bytes: Buffer.from('45887d2d41c6452c00', 'hex'), at: 8 },
  // musl: movb $0,0x2c(%r14); mov (%rsi),%rdi; mov %al,0x2d(%r14)
  { bytes: Buffer.from('41c6462c00488b3e4188462d', 'hex'), at: 4 },
]

/** `uint32_t ExtendImpl<Slow_CRC32>(uint32_t crc, const char *bytes, size_t length)` of util/crc32c.cc, in both builds. */
const checksumFunctions = [
  // glibc
  {
    start: Buffer.from('4c8d4e0f554801f289f84983e1f04889e5f7d04c39ca53722c4c39ce', 'hex'),
    length: 482,
    sha256: '7872c4ed74c44e84746531a889d9a7f8079d74726c6d25caf1c53827b8649ded',
  },
  // musl
  {
    start: Buffer.from('5589f8488d7e0f4c8d0c16f7d04883e7f089c24889e5534939f97231488d0d9d', 'hex'),
    length: 493,
    sha256: '846869bd7301b62ca80239f11d060e03ccb1862f3a9770110bd90211b9b7bf0e',
  },
]

/** The same function (System V calling convention): what it changes besides its result, any function may. */
const fastChecksum = Buffer.from(
  [
    '89f8', // mov %edi,%eax
    'f7d0', // not %eax
    '4889d1', // mov %rdx,%rcx
    '48c1e903', // shr $3,%rcx
    '740f', // jz 2f
    'f2480f38f106', // 1: crc32q (%rsi),%rax
    '4883c608', // add $8,%rsi
    '48ffc9', // dec %rcx
    '75f1', // jnz 1b
    '83e207', // 2: and $7,%edx
    '740c', // jz 4f
    'f20f38f006', // 3: crc32b (%rsi),%eax
    '48ffc6', // inc %rsi
    'ffca', // dec %edx
    '75f4', // jnz 3b
    'f7d0', // 4: not %eax
    'c3', // ret
  ].join(''),
  'hex',
)

export interface NativeModule {
  readonly binding: Binding
  /** The file that was loaded. */
  readonly file: string
  /** Whether it is a mended copy. */
  readonly mended: boolean
  /** Whether pages and scans check the checksum of every block that they read from a table file. */
  readonly iteratorsVerify: boolean
  /** Whether checksums of RocksDB are computed by the processor's instruction. */
  readonly checksumsFast: boolean
}

export interface Mended {
  readonly bytes: Buffer
  readonly symbolsHidden: number
  readonly iteratorsVerify: boolean
  readonly checksumsFast: boolean
}

let loaded: NativeModule | undefined

/**
 * Loads the native module, once in a process and on its main thread (a database belongs to one thread).
 * `cachePath` is a folder for the mended copy. Throws IO_FAILED when no build for this platform is there or loads.
 */
export function loadNative(cachePath: string): NativeModule {
  if (loaded) return loaded
  if (!isMainThread) throw new MillraceError('INTERNAL', 'The store can only be opened on the main thread.')
  const require = createRequire(import.meta.url)
  const packageFolder = dirname(require.resolve('rocksdb/package.json'))
  const original = findBuild(createRequire(join(packageFolder, 'package.json')), packageFolder)
  const { bytes, symbolsHidden, iteratorsVerify, checksumsFast } = isPrebuildForLinux(original)
    ? mendInPlace(readFileSync(original), hasChecksumInstruction())
    : { bytes: Buffer.alloc(0), symbolsHidden: 0, iteratorsVerify: false, checksumsFast: false }
  const mended = symbolsHidden > 0 || iteratorsVerify || checksumsFast
  const file = mended ? loadCopy(require, original, bytes, cachePath) : original
  const binding = require('rocksdb/binding') as Binding
  loaded = { binding, file, mended, iteratorsVerify, checksumsFast }
  return loaded
}

/** What is loaded, or undefined before the first store was opened. */
export function nativeModule(): Omit<NativeModule, 'binding'> | undefined {
  return loaded
}

/** The file that `require('rocksdb')` would load. */
function findBuild(require: NodeJS.Require, packageFolder: string): string {
  const { resolve } = require('node-gyp-build') as { resolve: (folder: string) => string }
  try {
    return resolve(packageFolder)
  } catch (error) {
    throw new MillraceError('IO_FAILED', `The package rocksdb has no build for ${process.platform} ${process.arch}.`, {
      cause: error,
      remedy: 'Build it with `npm rebuild rocksdb --ignore-scripts=false` (needs a C++ compiler and Python).',
    })
  }
}

function isPrebuildForLinux(file: string): boolean {
  return process.platform === 'linux' && process.arch === 'x64' && file.includes(`${sep}prebuilds${sep}`)
}

/** `sse4_2` stands for it among the flags of the first processor; all of a machine have the same. */
function hasChecksumInstruction(): boolean {
  try {
    return /^flags\s*:.* sse4_2\b/m.test(readFileSync('/proc/cpuinfo', 'latin1'))
  } catch {
    return false
  }
}

/** A copy of an ELF64 module with its faults mended, as far as they are found in it. */
export function mend(original: Buffer, hasInstruction = hasChecksumInstruction()): Mended {
  return mendInPlace(Buffer.from(original), hasInstruction)
}

function mendInPlace(bytes: Buffer, hasInstruction: boolean): Mended {
  return {
    bytes,
    symbolsHidden: hideWeakSymbols(bytes),
    iteratorsVerify: verifyInIterators(bytes),
    checksumsFast: hasInstruction && speedUpChecksums(bytes),
  }
}

/** ELF-64 object file format, version 1.5: the header, section headers and symbol table entries. */
function hideWeakSymbols(elf: Buffer): number {
  const isElf64 = elf.length >= 64 && elf.readUInt32BE(0) === 0x7f454c46 && elf[4] === 2 && elf[5] === 1
  if (!isElf64) return 0
  const sectionsAt = Number(elf.readBigUInt64LE(0x28))
  const sectionBytes = elf.readUInt16LE(0x3a)
  const sections = elf.readUInt16LE(0x3c)
  let hidden = 0
  for (let i = 0; i < sections; i++) {
    const section = sectionsAt + i * sectionBytes
    const dynamicSymbols = 11
    if (elf.readUInt32LE(section + 4) !== dynamicSymbols) continue
    const from = Number(elf.readBigUInt64LE(section + 0x18))
    const to = from + Number(elf.readBigUInt64LE(section + 0x20))
    // An entry: name (4), info (1: binding and type), other (1: visibility), section (2), value (8), size (8).
    for (let symbol = from; symbol < to; symbol += 24) {
      const info = elf[symbol + 4] as number
      const isWeak = info >> 4 === 2
      const type = info & 15
      const isObjectOrFunction = type === 1 || type === 2
      const isDefined = elf.readUInt16LE(symbol + 6) !== 0
      if (!isWeak || !isObjectOrFunction || !isDefined) continue
      elf[symbol + 5] = ((elf[symbol + 5] as number) & ~3) | 2
      hidden++
    }
  }
  return hidden
}

function verifyInIterators(bytes: Buffer): boolean {
  const found = iteratorPatterns.flatMap((pattern) => {
    const first = bytes.indexOf(pattern.bytes)
    return first < 0 ? [] : [{ at: first + pattern.at, only: bytes.indexOf(pattern.bytes, first + 1) < 0 }]
  })
  const [place] = found
  if (found.length !== 1 || !place?.only) return false
  bytes[place.at] = 1
  return true
}

function speedUpChecksums(bytes: Buffer): boolean {
  for (const { start, length, sha256 } of checksumFunctions) {
    const at = bytes.indexOf(start)
    if (at < 0) continue
    const known = createHash('sha256').update(bytes.subarray(at, at + length))
    if (known.digest('hex') !== sha256) continue
    fastChecksum.copy(bytes, at)
    return true
  }
  return false
}

/** Loads the copy and puts it where `require` looks for the original. */
function loadCopy(require: NodeJS.Require, original: string, bytes: Buffer, cachePath: string): string {
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const name = `${basename(original, '.node')}-v${patchVersion}-${sha256}.node`
  const file = join(cachePath, name)
  const module = new Module(original)
  try {
    keep(file, bytes)
    process.dlopen(module, file)
  } catch (error) {
    // The cache may lie on a file system that is read-only, full or mounted without the right to execute.
    loadFromTemporaryFolder(module, name, bytes, file, error as Error)
  }
  module.loaded = true
  require.cache[original] = module
  return file
}

/** Writes the copy unless it is there, byte for byte: a power failure may have left it torn. */
function keep(file: string, bytes: Buffer): void {
  if (holds(file, bytes)) return
  mkdirSync(dirname(file), { recursive: true })
  const temporary = `${file}.${process.pid}-${randomBytes(4).toString('hex')}`
  try {
    writeFileSync(temporary, bytes, { mode: 0o755 })
    renameSync(temporary, file)
  } finally {
    rmSync(temporary, { force: true })
  }
}

/** Read a piece at a time: megabytes of garbage would stay in an idle daemon until its next collection. */
function holds(file: string, bytes: Buffer): boolean {
  let descriptor: number
  try {
    descriptor = openSync(file, 'r')
  } catch {
    // Not there yet.
    return false
  }
  try {
    const piece = Buffer.alloc(Math.min(bytes.length + 1, 64 * 1024))
    for (let at = 0; ; ) {
      const length = readSync(descriptor, piece)
      if (length === 0) return at === bytes.length
      if (!piece.subarray(0, length).equals(bytes.subarray(at, at + length))) return false
      at += length
    }
  } catch {
    return false
  } finally {
    closeSync(descriptor)
  }
}

function loadFromTemporaryFolder(module: NodeJS.Module, name: string, bytes: Buffer, file: string, first: Error): void {
  let folder: string | undefined
  try {
    folder = mkdtempSync(join(tmpdir(), 'millrace-native-'))
    writeFileSync(join(folder, name), bytes, { mode: 0o755 })
    process.dlopen(module, join(folder, name))
  } catch (error) {
    throw new MillraceError(
      'IO_FAILED',
      `The native module can be loaded neither from ${file} (${first.message}) nor from ${tmpdir()} (${(error as Error).message}).`,
      { cause: error, remedy: 'Put the data directory or TMPDIR on a file system that is mounted without noexec.' },
    )
  } finally {
    if (folder) rmSync(folder, { recursive: true, force: true })
  }
}
