import { MillraceError } from '../runtime/index.js'

export const isOfRetention = (setting: string): boolean => /^retention\b/.test(setting)

/**
 * `retention.ms=86400000`, `retention.bytes=1e9`, `retention=forever` and `retention=default` as the member `retention`
 * of PATCH /v1/streams/NAME; undefined when none of the settings is about it. Throws USAGE.
 */
export function retentionOf(settings: readonly string[]): unknown {
  let retention: unknown
  for (const setting of settings) {
    const [, name, text = ''] = /^retention(?:\.(ms|bytes))?=(.+)$/.exec(setting) ?? []
    if (!isOfRetention(setting)) continue
    const value = name === undefined ? text : Number(text.replaceAll('_', ''))
    if (name !== undefined && Number.isInteger(value))
      retention = { ...(typeof retention === 'object' ? retention : {}), [name]: value }
    else if (value === 'forever') retention = value
    else if (value === 'default') retention = null
    else
      throw new MillraceError('USAGE', `${setting} cannot be set.`, {
        remedy: 'Name retention.ms=NUMBER, retention.bytes=NUMBER, retention=forever or retention=default.',
      })
  }
  return retention
}
