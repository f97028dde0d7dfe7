import type { Config } from './schema.js'

/** Where a value in force comes from. */
export type Source = 'default' | 'file' | 'environment' | 'flag'

/** Settings as they are gathered, before the schema has checked them. */
export class Settings {
  readonly values: Record<string, unknown> = {}
  readonly sources = new Map<string, Source>()
  readonly faults: string[] = []

  /** Puts a value at a path; a later source replaces an earlier one. */
  place(path: string, value: unknown, source: Source): void {
    const names = path.split('.')
    let at = this.values
    for (const name of names.slice(0, -1)) {
      at[name] ??= {}
      at = at[name] as Record<string, unknown>
    }
    at[names[names.length - 1] as string] = value
    this.sources.set(path, source)
  }
}

/** The value in force of a setting. */
export function valueAt(config: Config, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((value, name) => (value as Record<string, unknown> | undefined)?.[name], config)
}
