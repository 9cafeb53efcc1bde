public import Formats

/// Prints a value on standard output, indented, as the one object that `--json` promises.
public func printJSON(_ value: JSON) {
    print(String(decoding: value.serialized(indent: 2), as: UTF8.self))
}
