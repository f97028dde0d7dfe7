import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Message, Plugin } from 'esbuild'
import { MillraceError } from '../runtime/index.js'

/** What `import ... from 'millrace'` means in a user's module: the pipeline API of this version, bundled in. */
const api: Plugin = {
  name: 'millrace',
  setup(setup) {
    setup.onResolve({ filter: /^millrace$/ }, () => ({ path: ownEntry() }))
    setup.onResolve({ filter: /^millrace\// }, ({ path }) => ({
      errors: [{ text: `A pipeline may import millrace, and not ${path}` }],
    }))
  },
}

/** Not the package's own entry: a client has no place within a pipeline, and would be bundled with all that it imports. */
function ownEntry(): string {
  const built = fileURLToPath(new URL('../operators/index.js', import.meta.url))
  return existsSync(built) ? built : fileURLToPath(new URL('../operators/index.ts', import.meta.url))
}

/**
 * Bundles a user's module, TypeScript or JavaScript, with all that it imports into one ES module. Runs none of it.
 * Throws MODULE_INVALID, which names file and line.
 */
export async function bundleModule(file: string): Promise<string> {
  if (!existsSync(file))
    throw new MillraceError('MODULE_INVALID', `There is no file ${file}.`, {
      remedy: 'Name the module that exports the pipeline.',
    })
  try {
    // Loaded when it is needed: a daemon starts without it.
    const { build } = await import('esbuild')
    const { outputFiles } = await build({
      entryPoints: [resolve(file)],
      // Paths in the bundle are relative to the module's own folder, so that the same module gives the same text anywhere.
      absWorkingDir: dirname(resolve(file)),
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      charset: 'utf8',
      logLevel: 'silent',
      plugins: [api],
    })
    return (outputFiles[0] as { text: string }).text
  } catch (error) {
    const { errors } = error as { errors?: readonly Message[] }
    const first = errors?.[0]
    if (!first)
      throw new MillraceError('MODULE_INVALID', `${file} cannot be bundled: ${(error as Error).message}.`, {
        cause: error,
      })
    const { location } = first
    const where = location ? `${location.file}:${location.line}:${location.column + 1}` : file
    throw new MillraceError('MODULE_INVALID', `${where}: ${first.text}.`, {
      cause: error,
      remedy: remedyFor(first.text),
      details: { errors: errors.length },
    })
  }
}

/** undefined: what is said of every module that is not valid. */
function remedyFor(text: string): string | undefined {
  if (text.startsWith('A pipeline may import'))
    return "Import it from 'millrace'; the test kit belongs into the tests of the module."
  if (text.startsWith('Could not resolve'))
    return 'Install the package beside the module (npm install), or correct the path: all that it imports is bundled with it.'
  if (text.startsWith('No matching export'))
    return 'docs/operators.md and docs/pipelines.md say what millrace exports to pipelines: a client, for one, has no place in them.'
  return undefined
}
