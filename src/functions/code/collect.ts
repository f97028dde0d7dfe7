import { existsSync, readFileSync, statSync } from 'node:fs'
import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'
import type { Plugin } from 'esbuild'
import { asMillraceError, MillraceError } from '../../runtime/index.js'
import type { CodeFile, CodeLimits, CollectedCode } from './types.js'

/** What nobody runs. */
const leftOut = new Set(['.git', '.bin', '.DS_Store'])

/**
 * Reads the code of a function: a folder with all that is in it, or a file with the files that it reaches by relative
 * imports. Packages that lie beside it are not read, those inside of a folder are. Throws FUNCTION_INVALID, TOO_LARGE.
 */
export async function collectCode(path: string, limits: CodeLimits): Promise<CollectedCode> {
  const whole = resolve(path)
  const reader = new CodeReader(limits)
  try {
    return statSync(whole).isDirectory() ? await collectFolder(whole, reader) : await collectFile(whole, reader)
  } catch (thrown) {
    if (thrown instanceof MillraceError) throw thrown
    throw new MillraceError(
      'FUNCTION_INVALID',
      `The code at ${whole} cannot be read: ${asMillraceError(thrown).message}.`,
      {
        cause: thrown,
        remedy: 'Name a file or folder that can be read.',
      },
    )
  }
}

async function collectFolder(folder: string, reader: CodeReader): Promise<CollectedCode> {
  await reader.readFolder(folder, '', [])
  if (reader.files.length === 0)
    throw new MillraceError('FUNCTION_INVALID', `The folder ${folder} has no files.`, {
      remedy: 'Name the folder that holds the code.',
    })
  return { files: withType(reader.files, folder), entry: undefined, origin: folder }
}

async function collectFile(file: string, reader: CodeReader): Promise<CollectedCode> {
  if (!/\.[cm]?js$/.test(file))
    throw new MillraceError('FUNCTION_INVALID', `${basename(file)} is no JavaScript file (.js, .cjs, .mjs).`, {
      remedy: 'Compile or bundle it first, as for Lambda.',
    })
  const paths = await reachedFrom(file)
  const origin = commonFolder(paths)
  for (const path of paths) await reader.readOne(path, relative(origin, path).split(sep).join('/'))
  const entry = relative(origin, file).split(sep).join('/')
  return { files: withType(reader.files, dirname(file)), entry, origin }
}

/** The file and all that it imports by relative paths. Of one that cannot be parsed, itself: its handler says so when it loads. */
async function reachedFrom(file: string): Promise<string[]> {
  const { build } = await import('esbuild')
  try {
    const { metafile } = await build({
      entryPoints: [file],
      absWorkingDir: dirname(file),
      bundle: true,
      write: false,
      outdir: dirname(file),
      metafile: true,
      packages: 'external',
      platform: 'node',
      format: 'esm',
      target: 'node20',
      loader: { '.node': 'copy' },
      logLevel: 'silent',
      plugins: [missingLeftOut],
    })
    const found = Object.keys(metafile.inputs).map((name) => resolve(dirname(file), name))
    return [...new Set([file, ...found.filter((path) => existsSync(path))])].sort()
  } catch {
    return [file]
  }
}

/** A file that is named and not there is met when it is asked for, perhaps never: the others come along all the same. */
const missingLeftOut: Plugin = {
  name: 'missing-left-out',
  setup(build) {
    const asked = {}
    build.onResolve({ filter: /^\.{1,2}(\/|$)/ }, async ({ path, importer, kind, resolveDir, pluginData }) => {
      if (pluginData === asked) return undefined
      const found = await build.resolve(path, { importer, kind, resolveDir, pluginData: asked })
      return found.errors.length > 0 ? { path, external: true } : found
    })
  },
}

function commonFolder(paths: readonly string[]): string {
  let common = dirname(paths[0] as string)
  for (const path of paths) while (!path.startsWith(common === sep ? sep : common + sep)) common = dirname(common)
  return common
}

/** Files ending in `.js` are what the nearest package.json says, which may lie above the code. */
function withType(files: readonly CodeFile[], folder: string): readonly CodeFile[] {
  if (files.some(({ path }) => path === 'package.json')) return files
  for (let at = folder; ; at = dirname(at)) {
    const path = join(at, 'package.json')
    if (existsSync(path)) {
      const type = typeIn(path)
      return type === undefined
        ? files
        : [...files, { path: 'package.json', content: Buffer.from(JSON.stringify({ type })) }]
    }
    if (at === dirname(at)) return files
  }
}

function typeIn(path: string): string | undefined {
  try {
    const { type } = JSON.parse(readFileSync(path, 'utf8')) as { type?: unknown }
    return typeof type === 'string' ? type : undefined
  } catch {
    return undefined
  }
}

class CodeReader {
  readonly files: CodeFile[] = []
  readonly #limits: CodeLimits
  #bytes = 0

  constructor(limits: CodeLimits) {
    this.#limits = limits
  }

  /** @param above folders on the way here, without links, so that links in a circle end */
  async readFolder(folder: string, prefix: string, above: readonly string[]): Promise<void> {
    const real = await realpath(folder)
    if (above.includes(real)) return
    const names = (await readdir(folder)).sort()
    for (const name of names) {
      if (leftOut.has(name)) continue
      const path = join(folder, name)
      const found = await stat(path).catch(() => undefined)
      if (found?.isDirectory()) await this.readFolder(path, `${prefix}${name}/`, [...above, real])
      else if (found?.isFile()) await this.readOne(path, prefix + name)
    }
  }

  async readOne(file: string, path: string): Promise<void> {
    const { codeBytesMax, codeFilesMax } = this.#limits
    this.#bytes += (await stat(file)).size
    if (this.#bytes > codeBytesMax)
      throw new MillraceError(
        'TOO_LARGE',
        `The code is larger than functionHost.codeBytesMax (${codeBytesMax}); it was met at ${path}.`,
        {
          remedy: 'Raise that bound, or let node_modules lie beside the folder: what is there is found and not copied.',
        },
      )
    if (this.files.length >= codeFilesMax)
      throw new MillraceError('TOO_LARGE', `The code has more files than functionHost.codeFilesMax (${codeFilesMax}).`)
    this.files.push({ path, content: await readFile(file) })
  }
}
