import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { asMillraceError } from '../runtime/errors.js'
import { IndexSession } from './index-session.js'
import type { FromThread, IndexSettings, ToThread } from './protocol.js'

/** One index in a thread of its own: neither its work nor its memory is the daemon's. */
const port = parentPort as MessagePort
const session = new IndexSession(workerData as IndexSettings)

port.on('message', (message: ToThread) => {
  const { request } = message
  const say = (answer: FromThread): void => port.postMessage(answer)
  const failed = (thrown: unknown): void => {
    const { code, message: text } = asMillraceError(thrown)
    say({ kind: 'failed', request, code, message: text })
  }
  if (message.kind === 'apply')
    session.apply(message.batch).then((applied) => say({ kind: 'applied', request, ...applied }), failed)
  else session.search(message.query).then((found) => say({ kind: 'found', request, found }), failed)
})
