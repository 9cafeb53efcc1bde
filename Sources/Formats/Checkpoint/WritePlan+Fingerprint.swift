extension WritePlan {
    /// What tells this plan from any other: the same when and only when it would write the same bytes.
    ///
    /// Nil when a part is computed from something that does not say what it is.
    var fingerprint: String? {
        var text = "\(Path.absolute(output))\n"
        for file in files {
            text += "\(file.name)\n"
            for segment in file.segments {
                guard let content = segment.content.fingerprint else { return nil }
                text += "\(segment.offset) \(segment.count) \(content)\n"
            }
        }
        if let manifest { text += FileDigest.sha256(manifest.serialized()) }
        return FileDigest.sha256(Array(text.utf8))
    }
}

extension WritePlan.Segment.Content {
    fileprivate var fingerprint: String? {
        switch self {
        case .bytes(let bytes): FileDigest.sha256(bytes)
        case .copy(let range): range.fingerprint
        case .computed(let tensor, let bytes, let name):
            tensor.fingerprint.map { "\(name) \(bytes.lowerBound) \(bytes.count) \($0)" }
        case .manifest: "manifest"
        }
    }
}

extension FileRange {
    /// The version of the file, whatever it is called, and the place in it.
    var fingerprint: String { "\(file.identity) \(offset) \(count)" }
}

extension TensorExpression {
    fileprivate var fingerprint: String? {
        let made: String?
        switch node {
        case .stored(let storage):
            made = storage.fileRange?.fingerprint ?? storage.fingerprint.map { storage.name + $0 }
        case .zeros: made = "zeros"
        case .joined(let parts):
            let prints = parts.map(\.fingerprint)
            made = prints.contains(nil) ? nil : "joined(\(prints.compactMap(\.self).joined(separator: ",")))"
        case .rows(let whole, let range): made = whole.fingerprint.map { "rows(\(range),\($0))" }
        case .cast(let original): made = original.fingerprint.map { "cast(\($0))" }
        case .transposed(let original): made = original.fingerprint.map { "transposed(\($0))" }
        case .derived(let rows):
            made = rows.base.fingerprint.map { base in
                "\(FileDigest.sha256(rows.rule.json.serialized(indent: nil)))(\(base))"
            }
        case .reshaped(let original): made = original.fingerprint.map { "reshaped(\($0))" }
        }
        return made.map { "\(type.rawValue)\(shape):\($0)" }
    }
}
