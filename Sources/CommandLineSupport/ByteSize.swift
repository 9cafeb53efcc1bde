public import ArgumentParser
public import Formats

extension ByteSize: ExpressibleByArgument {
    /// A size as it is typed; nil where it is none.
    public init?(argument: String) { self.init(argument) }
}
