import OrderedCollections

/// The groups and datasets of a file to be written.
struct HDF5Tree {
    private struct Object {
        var attributes: [HDF5Attribute] = []
        /// The names in a group; nil for a dataset.
        var children: OrderedSet<String>? = []
        /// The tensor of a dataset.
        var tensor: String?
        /// What a dataset's header has besides its place and attributes.
        var messages: [UInt8] = []
        var byteCount = 0
    }

    private var objects: OrderedDictionary<String, Object> = ["": Object()]

    /// A group or dataset whose header can be made.
    struct Node {
        /// Where it is in the tree; empty for the root.
        let path: String
        /// The tensor whose data it has; nil for a group.
        let tensor: String?
        fileprivate let children: [String]
        fileprivate let messages: [UInt8]
        fileprivate let byteCount: Int

        /// Its header.
        ///
        /// - Parameters:
        ///   - addresses: where the headers of all objects are; the size is the same without.
        ///   - data: where its data is.
        /// - Returns: its bytes.
        func header(addresses: [String: Int], data: Int) -> [UInt8] {
            var bytes = tensor == nil ? HDF5Message.groupInformation : []
            for child in children {
                let inner = path.isEmpty ? child : path + "/" + child
                bytes += HDF5Message.message(0x06, HDF5Message.link(child, to: addresses[inner] ?? 0))
            }
            bytes += messages
            if tensor != nil { bytes += HDF5Message.contiguous(at: data, count: byteCount) }
            return HDF5Message.header(bytes)
        }
    }

    /// Adds a group and those on the way to it.
    mutating func addGroup(_ path: String, attributes: [HDF5Attribute]) throws(WriteError) {
        if !path.isEmpty { try add(path, Object(), tensor: nil) }
        objects[path]?.attributes = attributes
    }

    /// Adds a dataset and the groups on the way to it.
    mutating func addDataset(
        _ path: String, named name: String, messages: [UInt8], byteCount: Int, attributes: [HDF5Attribute]
    ) throws(WriteError) {
        let object = Object(
            attributes: attributes, children: nil, tensor: name, messages: messages, byteCount: byteCount)
        try add(path, object, tensor: name)
    }

    private mutating func add(_ path: String, _ object: Object, tensor: String?) throws(WriteError) {
        var place = ""
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            let isLast = index == parts.count - 1
            guard !part.isEmpty, part != ".", part != "..", !part.utf8.contains(0), part.utf8.count < 60_000
            else {
                throw .reservedName(tensor ?? path)
            }
            guard objects[place]?.children != nil else {
                throw .nameInsideTensor(tensor ?? path, tensor: place)
            }
            let inner = place.isEmpty ? String(part) : place + "/" + part
            objects[place]?.children?.append(String(part))
            if objects[inner] == nil {
                objects[inner] = isLast ? object : Object()
            } else if isLast && object.tensor != nil {
                throw .nameInsideTensor(tensor ?? path, tensor: inner)
            }
            place = inner
        }
    }

    /// All objects in the order of their paths, the root first, their attributes' strings in the heap.
    func nodes(heap: inout HDF5StringHeap) throws(WriteError) -> [Node] {
        var nodes: [Node] = []
        for (path, object) in objects.sorted(by: { NaturalOrder.precedes($0.key, $1.key) }) {
            var messages = object.messages
            for attribute in object.attributes {
                let body = HDF5Message.attribute(attribute, heap: &heap)
                guard body.count <= HDF5Message.largestBody else {
                    throw .attributeTooLarge(path: path, name: attribute.name, bytes: body.count)
                }
                messages += HDF5Message.message(0x0C, body)
            }
            let children = object.children?.sorted {
                Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8))
            }
            nodes.append(
                Node(
                    path: path, tensor: object.tensor, children: children ?? [], messages: messages,
                    byteCount: object.byteCount))
        }
        return nodes
    }
}
