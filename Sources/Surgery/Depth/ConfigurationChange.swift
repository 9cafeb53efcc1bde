public import Formats

/// A key of a configuration that an operation changes.
public struct ConfigurationChange: Sendable, Equatable {
    /// The key, after the keys of the objects it is in, with dots between.
    public let key: String
    /// What it was; nil when it was not there.
    public let before: JSON?
    /// What it becomes; nil when it is taken away.
    public let after: JSON?
}

extension ConfigurationChange: CustomStringConvertible {
    /// "num_hidden_layers: 32 → 48".
    public var description: String {
        "\(key): \(Self.text(before)) → \(Self.text(after))"
    }

    private static func text(_ value: JSON?) -> String {
        guard let value else { return "absent" }
        if let list = value.array, list.count > 8 {
            return "[\(list.prefix(4).map { text($0) }.joined(separator: ", ")), … (\(list.count) entries)]"
        }
        return String(decoding: value.serialized(indent: nil), as: UTF8.self)
    }
}
