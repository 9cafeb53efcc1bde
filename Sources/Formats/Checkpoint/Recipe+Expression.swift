/// The files that recipes count, each once.
struct SourceList {
    private(set) var files: [SourceFile] = []
    private var places: [ObjectIdentifier: Int] = [:]

    mutating func place(of file: SourceFile) -> Int {
        if let place = places[ObjectIdentifier(file)] { return place }
        places[ObjectIdentifier(file)] = files.count
        files.append(file)
        return files.count - 1
    }
}

extension TensorExpression {
    /// How it is made, in words that a manifest keeps.
    func recipe(_ sources: inout SourceList) -> Recipe {
        switch node {
        case .stored(let storage):
            guard let origin = storage.origin else { return .computed(storage.name, type, shape: shape) }
            return .copied(file: sources.place(of: origin.file), tensor: storage.name, offset: origin.offset)
        case .zeros: return .zeroed(type, shape: shape)
        case .joined(let parts): return .joined(parts.map { $0.recipe(&sources) })
        case .rows(let whole, let range): return .rows(range, of: whole.recipe(&sources))
        case .cast(let original): return .cast(type, of: original.recipe(&sources))
        case .transposed(let original): return .transposed(of: original.recipe(&sources))
        case .derived(let rows): return .derived(rows.rule, of: rows.base.recipe(&sources))
        case .reshaped(let original): return .reshaped(shape, of: original.recipe(&sources))
        }
    }
}

extension Manifest {
    /// The same with room for every checksum, so that its size is known.
    func withPlaceholders(_ checksums: Bool) -> Manifest {
        withChecksums(sources.map { _ in checksums ? String(repeating: "0", count: 64) : nil })
    }

    /// The same with these checksums of its sources.
    func withChecksums(_ checksums: [String?]) -> Manifest {
        var manifest = self
        manifest.sources = zip(sources, checksums).map { Source(path: $0.path, bytes: $0.bytes, sha256: $1) }
        return manifest
    }
}
