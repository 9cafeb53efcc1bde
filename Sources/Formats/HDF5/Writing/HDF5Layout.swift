import OrderedCollections

/// Where everything goes in an HDF5 file to be written: known to the byte before the first is written.
///
/// libhdf5 makes a temporary file with all headers and with room for the data, which takes no room on the disk as long
/// as nothing is put into it. What it has laid around the data is then written around the tensors' bytes. Nothing of it
/// depends on time or place, so equal models are equal files.
struct HDF5Layout {
    /// What stands in the file.
    enum Part {
        /// What the library has laid down: headers, and what fills up a page.
        case bytes([UInt8])
        /// All bytes of a tensor.
        case tensor(String)
    }

    /// What the file is made of, from its first byte to its last.
    let parts: [Part]

    /// Lays out a file.
    ///
    /// - Parameters:
    ///   - tensors: what it holds, in the order of the data.
    ///   - structure: how the tensors lie in it.
    ///   - groups: which of the structure's groups it has besides those on the way to its tensors.
    /// - Throws: ``UserFacingError`` when a name or a type can't be written.
    init(
        _ tensors: [(name: String, expression: TensorExpression)], structure: HDF5Structure,
        groups: OrderedDictionary<String, [HDF5Attribute]>
    ) throws(UserFacingError) {
        try Self.check(tensors.map(\.name), below: structure.prefix, groups: groups.keys)
        let temporary = try Self.temporaryFile()
        let places = try HDF5Library.locked { () throws(UserFacingError) -> [Place] in
            let skeleton = try HDF5Skeleton(path: temporary.path)
            try skeleton.addGroups(groups, above: tensors.map { structure.prefix + $0.name })
            var places: [Place] = []
            for (name, tensor) in tensors {
                let offset = try skeleton.addDataset(
                    structure.prefix + name, tensor, attributes: structure.attributes[name] ?? [])
                if let offset { places.append(Place(name: name, start: offset, count: tensor.byteCount)) }
            }
            try skeleton.finish()
            return places
        }
        parts = try Self.parts(of: temporary, around: places)
    }

    private static func temporaryFile() throws(UserFacingError) -> TemporaryFile {
        return try TemporaryFile()
    }

    private struct Place {
        let name: String
        let start: Int
        let count: Int
    }

    private static func parts(
        of temporary: borrowing TemporaryFile, around places: [Place]
    ) throws(UserFacingError) -> [Part] {
        let file = try InputFile(path: temporary.path)
        var parts: [Part] = []
        var end = 0
        for place in places.sorted(by: { $0.start < $1.start }) {
            if place.start > end { parts.append(.bytes(try file.bytes(at: end, count: place.start - end))) }
            parts.append(.tensor(place.name))
            end = place.start + place.count
        }
        if file.size > end { parts.append(.bytes(try file.bytes(at: end, count: file.size - end))) }
        return parts
    }

    /// Checks that names are such as HDF5 takes for paths, and that none leads through a tensor.
    private static func check(
        _ names: [String], below prefix: String, groups: some Sequence<String>
    ) throws(UserFacingError) {
        let datasets = Dictionary(names.map { (prefix + $0, $0) }) { first, _ in first }
        for (path, name) in datasets {
            let isPlain = path.split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
                !["", ".", ".."].contains($0) && !$0.utf8.contains(0)
            }
            guard isPlain else { throw .reservedName(name) }
            for ancestor in Path.ancestors(of: path) {
                if let tensor = datasets[ancestor] { throw .nameInsideTensor(name, tensor: tensor) }
            }
        }
        for group in groups {
            for path in Path.ancestors(of: group) + [group] {
                if let tensor = datasets[path] { throw .nameInsideTensor(group, tensor: tensor) }
            }
        }
    }
}
