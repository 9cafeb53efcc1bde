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

extension ConfigurationChange {
    /// What changes in the file that is written, where that is in other terms than the model.
    ///
    /// - Parameters:
    ///   - changes: what changes in the model's terms; the answer for files in the same terms.
    ///   - before: the model before.
    ///   - after: the model after, which has the same files' terms.
    /// - Returns: what changes in the file.
    static func inFiles(
        _ changes: [ConfigurationChange], from before: Checkpoint, to after: Checkpoint
    ) -> [ConfigurationChange] {
        guard case .library = before.format, let old = try? before.stored().configuration,
            let new = try? after.stored().configuration
        else { return changes }
        return differences(from: old.json, to: new.json, path: "")
    }

    /// What differs between two values, the keys of objects one by one.
    static func differences(from old: JSON?, to new: JSON?, path: String) -> [ConfigurationChange] {
        if old == new { return [] }
        guard let old = old?.object, let new = new?.object else {
            return [ConfigurationChange(key: path, before: old, after: new)]
        }
        let keys = new.keys + old.keys.filter { new[$0] == nil }
        return keys.flatMap {
            differences(from: old[$0], to: new[$0], path: path.isEmpty ? $0 : path + "." + $0)
        }
    }
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
