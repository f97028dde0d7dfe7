import { MillraceError } from '../runtime/index.js'

export const runSuffix = '.run'
export const shadowSuffix = '.shadow'

/** Names that bounded runs and shadows have. Throws PIPELINE_INVALID. */
export function checkNotReserved(name: string): void {
  for (const [suffix, what] of [
    [runSuffix, 'a bounded run'],
    [shadowSuffix, 'a shadow'],
  ] as const)
    if (name.endsWith(suffix))
      throw new MillraceError('PIPELINE_INVALID', `${name} is the name of ${what}.`, {
        remedy: `Give the pipeline a name that does not end with ${suffix}.`,
      })
}
