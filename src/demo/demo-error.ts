import { MillraceError } from '../runtime/index.js'

/** Packages that only the demo needs: development dependencies, so an installed Millrace does not have them. */
const demoPackages = [
  '@aws-sdk/client-dynamodb',
  '@aws-sdk/client-dynamodb-streams',
  'hyparquet',
  'hyparquet-compressors',
  'vega-datasets',
]

/** Runs an import and says what to install when a package of the demo is not there. */
export async function needsDemoPackages<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error
    throw new MillraceError('USAGE', `The demo needs a package that is not installed: ${(error as Error).message}.`, {
      cause: error,
      remedy: `Run it in a checkout of Millrace after \`npm install\`, or run \`npm install ${demoPackages.join(' ')}\`.`,
    })
  }
}
