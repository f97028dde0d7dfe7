import { dirname, isAbsolute, join, parse, relative, resolve, sep } from 'node:path'
import { MillraceError } from '../runtime/index.js'

/** The path of a file of a pipeline. Relative ones lie in `folder`; others are refused unless `isOutsideAllowed`. */
export function sinkPath(path: string, folder: string, isOutsideAllowed: boolean, what = 'The file sink'): string {
  const whole = isAbsolute(path) ? resolve(path) : resolve(folder, path)
  const inside = relative(folder, whole)
  if (!isOutsideAllowed && (inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside))) {
    throw new MillraceError('PIPELINE_INVALID', `${what} ${path} lies outside of ${folder}.`, {
      remedy: 'Give a relative path, or allow it with pipelines.filesOutside: true.',
    })
  }
  return whole
}

/** Digits of the number of a file that was rolled: so many files are in order by their names. */
const numberDigits = 6

/** The name, without its folder, of the n-th file that is rolled: `clicks.ndjson` becomes `clicks.000001.ndjson`. */
export function rolledName(path: string, number: number): string {
  const { name, ext } = parse(path)
  return `${name}.${String(number).padStart(numberDigits, '0')}${ext}`
}

/** The same in its folder. */
export const rolledPath = (path: string, number: number): string => join(dirname(path), rolledName(path, number))
