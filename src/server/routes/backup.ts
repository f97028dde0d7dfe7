import { MillraceError } from '../../runtime/index.js'
import { type Answer, type Call, created, only, type Route } from './route.js'

export const backupRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: 'backup',
    summary:
      'Copies the data directory on the machine of the daemon, with commits paused while files are linked. `millrace backup` calls it, then verifies the copy and gives it its name.',
    body: '{target: absolute path of a folder that does not exist yet}',
    answer: '201 {folder: target with .partial behind it, pausedMs}',
    errors: ['ALREADY_EXISTS', 'TOO_BUSY', 'IO_FAILED', 'STORE_FAILED'],
    run: stage,
  },
]

async function stage(call: Call): Promise<Answer> {
  const body = await call.json()
  only(body, ['target'])
  const { target } = body
  if (typeof target !== 'string') throw new MillraceError('BAD_REQUEST', 'target is the path of a folder.')
  return created(await call.daemon.stageBackup(target))
}
