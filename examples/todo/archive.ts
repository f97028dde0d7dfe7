import { pipeline, table } from 'millrace'

export type Task = {
  ListId: number
  TaskId: string
  Description: string
  Done?: boolean
  /** When its time to live is over, seconds since 1970. */
  ExpiresAt?: number
}

/**
 * Tasks that are gone, as they last were. `service` is true where the daemon itself removed the item, since its time to live was over;
 * what a user removes is kept when `deletedToo` asks for it.
 */
export const archive = ({ deletedToo }: { readonly deletedToo: boolean }) =>
  pipeline('todoArchive')
    .from(table<Task>('todoListTask'))
    .filter((change) => change.type === 'remove' && (change.service || deletedToo))
    .to(table('todoListTaskArchived', (change) => change.old))

export default archive({ deletedToo: false })
