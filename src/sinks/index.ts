export { barrierEffects, type SinkEffects, type SinkSurroundings, type SinkWork, tableGone } from './barrier-effects.js'
export { type CommittedFile, FileSink, sinkPath } from './file-sink.js'
