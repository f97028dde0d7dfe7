/** One file of a function's code. */
export interface CodeFile {
  /** Relative to the folder of the code, with slashes. */
  readonly path: string
  readonly content: Buffer
}

export interface CodeLimits {
  readonly codeBytesMax: number
  readonly codeFilesMax: number
}

/** Code as it was read. */
export interface CollectedCode {
  readonly files: readonly CodeFile[]
  /** The file that was named, relative to the folder of the code; undefined when a folder was. */
  readonly entry: string | undefined
  /** The folder of the code, absolute. */
  readonly origin: string
}
