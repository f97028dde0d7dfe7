/** How a mapping stands, as AWS calls it. */
export type MappingState = 'Creating' | 'Enabling' | 'Enabled' | 'Disabling' | 'Disabled' | 'Updating' | 'Deleting'

export type MappingEvent =
  /** It reads its stream. */
  | 'started'
  /** It reads nothing, and none of its invocations is under way: it is switched off, or its stream has come to its end. */
  | 'stopped'
  /** Its stream has come to its end, which is being made durable. */
  | 'ended'
  /** A user asks for it. */
  | 'enable'
  | 'disable'
  | 'update'
  | 'delete'

/** Every event in every state; `undefined` is refused: the mapping is in use. */
export const mappingLifecycle: {
  readonly [From in MappingState]: { readonly [On in MappingEvent]: MappingState | undefined }
} = {
  Creating: {
    started: 'Enabled',
    stopped: 'Disabled',
    ended: undefined,
    enable: undefined,
    disable: undefined,
    update: undefined,
    delete: undefined,
  },
  Enabling: {
    started: 'Enabled',
    stopped: 'Disabled',
    ended: undefined,
    enable: undefined,
    disable: undefined,
    update: undefined,
    delete: undefined,
  },
  Enabled: {
    started: 'Enabled',
    stopped: 'Disabled',
    // Nobody changes or deletes it before that is written.
    ended: 'Disabling',
    enable: 'Updating',
    disable: 'Disabling',
    update: 'Updating',
    delete: 'Deleting',
  },
  Disabling: {
    // What was to be written could not be: it goes on.
    started: 'Enabled',
    stopped: 'Disabled',
    ended: undefined,
    enable: undefined,
    disable: undefined,
    update: undefined,
    delete: undefined,
  },
  Disabled: {
    started: undefined,
    stopped: 'Disabled',
    ended: undefined,
    enable: 'Enabling',
    disable: 'Updating',
    update: 'Updating',
    delete: 'Deleting',
  },
  Updating: {
    started: 'Enabled',
    stopped: 'Disabled',
    ended: undefined,
    enable: undefined,
    disable: undefined,
    update: undefined,
    delete: undefined,
  },
  // It is gone when it has stopped.
  Deleting: {
    started: undefined,
    stopped: 'Deleting',
    ended: undefined,
    enable: undefined,
    disable: undefined,
    update: undefined,
    delete: undefined,
  },
}
