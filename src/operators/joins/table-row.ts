import { kept } from '../kept.js'
import { settle } from '../settle.js'
import type { Awaitable } from '../types.js'
import type { RowOf } from './options.js'

const types: readonly unknown[] = ['insert', 'modify', 'remove']

/** What a value of a change flow leaves in the table: a row, or null where it is gone. */
export type TableRow = (value: unknown, key: unknown) => Awaitable<unknown>

/** The row of a change, or what the user's function makes of any other value. `step` names it in errors. */
export function tableRow(row: RowOf<never, never, unknown> | undefined, step: string): TableRow {
  if (row)
    return (value, key) => settle(row(value as never, key as never), (made) => (made === undefined ? null : kept(made)))
  return (value) => {
    const { type, new: image } = (typeof value === 'object' && value !== null ? value : {}) as {
      type?: unknown
      new?: unknown
    }
    if (!types.includes(type))
      throw new TypeError(
        `${step} was given something that is no change of a table: say with \`row\` what it stands for.`,
      )
    return image ?? null
  }
}
