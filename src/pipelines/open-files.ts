import type { NodeId, PlanDescription } from '../operators/index.js'
import type { Logger } from '../runtime/index.js'
import { type CommittedFile, FileSink } from '../sinks/index.js'
import { fileShape } from './plan-steps.js'

/** Opens the files of file sinks as they were committed, into `opened`, by their nodes. Throws SINK_FILE_CHANGED. */
export async function openFiles(
  plan: PlanDescription,
  files: ReadonlyMap<NodeId, CommittedFile>,
  opened: Map<NodeId, FileSink>,
  logger: Logger,
): Promise<void> {
  for (const [node, file] of files) {
    const sink = await FileSink.open(file, fileShape(plan, node))
    opened.set(node, sink)
    const { cutBytes } = sink
    if (cutBytes > 0)
      logger.info(
        { pipeline: plan.name, path: file.path, cutBytes },
        'a barrier was in flight at the last stop: what it wrote to the file and did not commit is cut off',
      )
  }
}
