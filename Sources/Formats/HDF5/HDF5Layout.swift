import OrderedCollections

/// Where everything goes in an HDF5 file to be written: known to the byte before the first is written.
///
/// The file has a version 2 superblock, version 2 object headers with all links in them, and contiguous datasets, as
/// every HDF5 library since 1.8 reads them. Nothing in it depends on time or place, so equal models are equal files.
/// Source: HDF5 file format specification 3.0, https://docs.hdfgroup.org/hdf5/develop/_f_m_t3.html
struct HDF5Layout {
    /// The first bytes of the file, up to the data.
    let header: [UInt8]
    /// The tensors in the order of their data, and where it begins.
    let places: [(name: String, offset: Int)]
    /// The whole file's size.
    let byteCount: Int

    /// Where data begins, a multiple of a page.
    static let alignment = 4096
    /// Each dataset begins at a multiple of this.
    private static let spacing = 64
    private static let superblockSize = 48

    /// Lays out a file.
    ///
    /// - Parameters:
    ///   - tensors: what it holds, in the order of the data.
    ///   - structure: how the tensors lie in it.
    ///   - groups: which of the structure's groups it has besides those on the way to its tensors.
    /// - Throws: ``WriteError`` when a name or a type can't be written.
    init(
        _ tensors: [(name: String, expression: TensorExpression)], structure: HDF5Structure,
        groups: OrderedDictionary<String, [HDF5Attribute]>
    ) throws(WriteError) {
        var tree = HDF5Tree()
        for (path, attributes) in groups { try tree.addGroup(path, attributes: attributes) }
        for (name, tensor) in tensors {
            guard let type = HDF5Message.datatype(tensor.type) else { throw .type(name: name, tensor.type) }
            var attributes = structure.attributes[name] ?? []
            if tensor.type == .bf16 {
                attributes.append(HDF5Attribute(name: HDF5Type.markName, text: HDF5Type.mark))
            }
            let messages =
                HDF5Message.message(0x01, HDF5Message.dataspace(tensor.shape))
                + HDF5Message.message(0x03, constant: true, type) + HDF5Message.fillValue
            try tree.addDataset(
                structure.prefix + name, named: name, messages: messages, byteCount: tensor.byteCount,
                attributes: attributes)
        }
        var heap = HDF5StringHeap(at: Self.superblockSize)
        let nodes = try tree.nodes(heap: &heap)
        let strings = heap.finished()
        var place = Self.superblockSize + strings.count
        var addresses: [Int] = []
        for node in nodes {
            addresses.append(place)
            place += Self.rounded(node.header(addresses: [:], data: 0).count, 8)
        }
        let dataStart = Self.rounded(place, Self.alignment)
        var end = dataStart
        var places: [(name: String, offset: Int)] = []
        for (name, tensor) in tensors {
            end = Self.rounded(end, Self.spacing)
            places.append((name, end))
            end += tensor.byteCount
        }
        let data = Dictionary(places.map { ($0.name, $0.offset) }) { first, _ in first }
        var bytes = HDF5Bytes()
        bytes.append(Self.superblock(root: addresses[0], end: end))
        bytes.append(strings)
        let headers = Dictionary(uniqueKeysWithValues: zip(nodes.map(\.path), addresses))
        for node in nodes {
            bytes.append(node.header(addresses: headers, data: node.tensor.flatMap { data[$0] } ?? 0))
            bytes.pad(to: 8)
        }
        bytes.append(repeatElement(0, count: dataStart - bytes.count))
        header = bytes.bytes
        self.places = places
        byteCount = end
    }

    private static func rounded(_ number: Int, _ unit: Int) -> Int { (number + unit - 1) / unit * unit }

    private static func superblock(root: Int, end: Int) -> [UInt8] {
        var bytes = HDF5Bytes()
        bytes.append([0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A, 2, 8, 8, 0])
        bytes.append(0, as: UInt64.self)
        bytes.append(HDF5Bytes.undefined)
        bytes.append(end, as: UInt64.self)
        bytes.append(root, as: UInt64.self)
        bytes.appendChecksum()
        return bytes.bytes
    }
}
