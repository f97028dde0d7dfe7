/** An error as the Lambda API answers it. */
export type MappingFaultType =
  | 'InvalidParameterValueException'
  | 'ValidationException'
  | 'ResourceConflictException'
  | 'ResourceInUseException'
  | 'ResourceNotFoundException'
  | 'TooManyRequestsException'

const statuses: Readonly<Record<MappingFaultType, number>> = {
  InvalidParameterValueException: 400,
  ValidationException: 400,
  ResourceConflictException: 409,
  ResourceInUseException: 400,
  ResourceNotFoundException: 404,
  TooManyRequestsException: 429,
}

/** A request about a mapping that is refused, with AWS's name, status and words. */
export class MappingFault extends Error {
  readonly type: MappingFaultType
  readonly status: number

  constructor(type: MappingFaultType, message: string) {
    super(message)
    this.name = 'MappingFault'
    this.type = type
    this.status = statuses[type]
  }
}

export const invalidParameter = (message: string): MappingFault =>
  new MappingFault('InvalidParameterValueException', message)

export const mappingNotFound = (): MappingFault =>
  new MappingFault('ResourceNotFoundException', 'The resource you requested does not exist.')

export const noSuchFunction = (): MappingFault => invalidParameter('Function does not exist')

export const mappingInUse = (verb: 'update' | 'delete'): MappingFault =>
  new MappingFault('ResourceInUseException', `Cannot ${verb} the event source mapping because it is in use.`)
