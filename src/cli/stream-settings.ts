import { MillraceError } from '../runtime/index.js'

/**
 * `target.cpu=0.5` as the body of PATCH /v1/streams/NAME: {policy: {target: {cpu: 0.5}}}. `default` takes a value back.
 * Throws USAGE.
 */
export function settingsOf(settings: readonly string[]): { policy: Record<string, unknown> } {
  const policy: Record<string, unknown> = {}
  for (const setting of settings) {
    const [, path, text] = /^([A-Za-z]+(?:\.[A-Za-z]+)*)=(.+)$/.exec(setting) ?? []
    if (path === undefined || text === undefined)
      throw new MillraceError('USAGE', `${setting} is not KEY=VALUE.`, {
        remedy:
          'Name settings of the section split, as `millrace config show` lists them: target.recordsPerSecond=20000',
      })
    const names = path.replace(/^split\./, '').split('.')
    let at = policy
    for (const name of names.slice(0, -1)) {
      at[name] ??= {}
      at = at[name] as Record<string, unknown>
    }
    const value = parsed(text)
    // JSON would carry it as null, which takes the value back.
    if (value === Infinity || value === -Infinity)
      throw new MillraceError('USAGE', `${setting} is no number that can be stored.`, {
        remedy: `Name a smaller one, or ${path}=default for what the configuration says.`,
      })
    at[names[names.length - 1] as string] = value
  }
  return { policy }
}

function parsed(text: string): unknown {
  if (text === 'default') return null
  if (text === 'true' || text === 'false') return text === 'true'
  const number = Number(text.replaceAll('_', ''))
  return Number.isNaN(number) ? text : number
}
