/// What is in the file's tree: a group's links, or what a dataset is, and the attributes of either.
struct HDF5Object {
    /// What an object is.
    enum Kind {
        /// Links to other objects.
        case group([Link])
        /// Elements.
        case dataset(HDF5Datatype, HDF5Dataspace, HDF5DataLayout, fillValue: [UInt8]?)
        /// A datatype by itself, under a name.
        case datatype
    }

    /// A name in a group, and what it leads to.
    struct Link {
        /// What it is called.
        let name: String
        /// What it is: 0 hard, 1 soft, 64 external, others of users.
        let kind: Int
        /// Where the header of a hard link's object is.
        let address: Int?
    }

    /// What it is.
    let kind: Kind
    /// Its attributes in the order of their names; those that refer to other objects are left out.
    let attributes: [HDF5Attribute]

    /// Reads the object whose header is at an address.
    init(at address: Int, in reader: inout HDF5Reader) throws(UserFacingError) {
        let header = try HDF5ObjectHeader(at: address, in: &reader)
        for message in header.messages {
            switch message.kind {
            case .externalFiles: throw .hdf5Storage("kept in external files")
            case .sharedTable, .treeSizes, .driverInfo, .freeSpace, .cache:
                throw .hdf5Storage(
                    "described by a message \(message.kind.rawValue) that belongs to the superblock")
            default: continue
            }
        }
        attributes = try Self.attributes(header, in: &reader)
        let (symbols, linkInfo) = (try header.one(.symbolTable), try header.one(.linkInfo))
        if symbols != nil || linkInfo != nil {
            var links = try symbols.map { table throws(UserFacingError) in try reader.symbols(table) } ?? []
            links += try Self.links(header, linkInfo, in: &reader)
            links.sort { $0.name < $1.name }
            try Self.checkNames(links.map(\.name))
            kind = .group(links)
            return
        }
        guard var message = try header.one(.datatype) else {
            throw .damagedHDF5("an object's header at byte \(address) is neither a group's nor a dataset's")
        }
        let type = try HDF5Datatype(&message)
        guard var message = try header.one(.dataspace) else {
            kind = .datatype
            return
        }
        let space = try HDF5Dataspace(&message)
        let fillValue = try Self.fillValue(header, of: type)
        let filters = try header.one(.filterPipeline).map { message throws(UserFacingError) in
            try HDF5Filter.pipeline(message, elementSize: type.size)
        }
        guard let layout = try header.one(.dataLayout) else {
            throw .damagedHDF5("a dataset's header does not say where the data is")
        }
        kind = .dataset(
            type, space,
            try HDF5DataLayout(layout, type: type, space: space, filters: filters ?? [], in: &reader),
            fillValue: fillValue)
    }

    private static func checkNames(_ names: [String]) throws(UserFacingError) {
        for (name, next) in zip(names, names.dropFirst()) where name == next {
            throw .damagedHDF5("two links or attributes are called \(name)")
        }
    }

    /// What a dataset is filled with (IV.A.2.e and f): one element, as the file has it; nil for zeros.
    private static func fillValue(
        _ header: HDF5ObjectHeader, of type: HDF5Datatype
    ) throws(UserFacingError) -> [UInt8]? {
        var message: HDF5Cursor
        if let new = try header.one(.fillValue) {
            message = new
            let isDefined =
                try message.version(1...3) == 3
                ? message.number(1) & 0x20 != 0 : message.take(3).last != 0
            guard isDefined else { return nil }
        } else if let old = try header.one(.oldFillValue) {
            message = old
        } else {
            return nil
        }
        let size = Int(Int32(truncatingIfNeeded: try message.number(4)))
        guard size > 0 else { return nil }
        guard size == type.size, !type.isIndirect else {
            throw message.damaged("fills with \(size) bytes, and the dataset's type is another")
        }
        return Array(try message.take(size))
    }
}

// MARK: - Links

extension HDF5Object {
    /// A group's links in its header and in a heap (IV.A.2.c).
    private static func links(
        _ header: HDF5ObjectHeader, _ info: HDF5Cursor?, in reader: inout HDF5Reader
    ) throws(UserFacingError) -> [Link] {
        // By name: a hash, and which object of the heap it is.
        let dense = try reader.dense(
            info, orderSize: 8, kind: 5, recordSize: 11, identifierSize: 7
        ) { record throws(UserFacingError) in _ = try record.take(4) }
        var links: [Link] = []
        for message in header.all(.link) + dense { links.append(try Link(message)) }
        return links
    }
}

extension HDF5Object.Link {
    /// Reads a link (IV.A.2.g).
    fileprivate init(_ message: HDF5Cursor) throws(UserFacingError) {
        var body = message
        _ = try body.version(1...1)
        let flags = try body.number(1)
        kind = flags & 8 != 0 ? try body.number(1) : 0
        _ = try body.take((flags & 4 != 0 ? 8 : 0) + (flags & 0x10 != 0 ? 1 : 0))
        name = String(decoding: try body.take(body.number(1 << (flags & 3))), as: UTF8.self)
        address = kind == 0 ? try body.address() : nil
    }
}

extension HDF5Reader {
    /// The links of a group that has a tree of symbols, and their names in a heap (IV.A.2.r).
    fileprivate mutating func symbols(_ table: HDF5Cursor) throws(UserFacingError) -> [HDF5Object.Link] {
        var table = table
        let tree = try table.address()
        let heap = try HDF5LocalHeap(at: table.address(), in: &self)
        var links: [HDF5Object.Link] = []
        let most = 2 * superblock.settings.group
        for (_, node) in try self.tree(at: tree, kind: 0, most: most, keySize: superblock.sizes.length) {
            links += try symbols(at: node, heap: heap)
        }
        return links
    }

    /// A leaf of symbols (III.B).
    private mutating func symbols(
        at address: Int, heap: HDF5LocalHeap
    ) throws(UserFacingError) -> [HDF5Object.Link] {
        let name = "a node of symbols"
        try visit(address, name)
        var prefix = try bytes(at: address, count: 8, name)
        try prefix.expect("SNOD", version: 1)
        _ = try prefix.take(1)
        let (count, most) = (try prefix.number(2), 2 * superblock.settings.leaf)
        guard count <= most else { throw prefix.damaged("has \(count) entries, and at most \(most) fit") }
        let size = superblock.sizes.length + superblock.sizes.address + 24
        var entries = try bytes(at: address + 8, count: count * size, name)
        var links: [HDF5Object.Link] = []
        for _ in 0..<count {
            let link = try heap.name(at: entries.length())
            try spend(link.utf8.count, name)
            let address = try entries.optionalAddress()
            let kind = try entries.number(4)
            _ = try entries.take(20)
            guard kind <= 2 else { throw entries.damaged("has an entry of kind \(kind)") }
            // Where a soft link leads is in the heap; no soft link is followed.
            links.append(HDF5Object.Link(name: link, kind: kind == 2 ? 1 : 0, address: address))
        }
        return links
    }

    /// The links or attributes that a message says are in a heap: the objects of every record of the tree that it names.
    ///
    /// Where the order of making is kept, the message says so, in a number of `orderSize` bytes and the address of another
    /// tree.
    fileprivate mutating func dense(
        _ message: HDF5Cursor?, orderSize: Int, kind: Int, recordSize: Int, identifierSize: Int,
        skip: (inout HDF5Cursor) throws(UserFacingError) -> Void
    ) throws(UserFacingError) -> [HDF5Cursor] {
        guard var body = message else { return [] }
        _ = try body.version(0...0)
        let flags = try body.number(1)
        _ = try body.take(flags & 1 != 0 ? orderSize : 0)
        guard let place = try body.optionalAddress() else { return [] }
        guard let address = try body.optionalAddress() else {
            throw body.damaged("names a heap and no tree that says what is in it")
        }
        var heap = try HDF5FractalHeap(at: place, identifierSize: identifierSize, in: &self)
        let tree = try HDF5BTree(at: address, kind: kind, recordSize: recordSize, in: &self)
        var objects: [HDF5Cursor] = []
        for var record in tree.records {
            try skip(&record)
            objects.append(try heap.object(record, in: &self))
        }
        return objects
    }
}

// MARK: - Attributes

extension HDF5Object {
    /// An object's attributes in its header and in a heap (IV.A.2.v).
    private static func attributes(
        _ header: HDF5ObjectHeader, in reader: inout HDF5Reader
    ) throws(UserFacingError) -> [HDF5Attribute] {
        // By name: which object of the heap it is, flags, a number and a hash.
        let dense = try reader.dense(
            header.one(.attributeInfo), orderSize: 2, kind: 8, recordSize: 17, identifierSize: 8
        ) { record throws(UserFacingError) in
            var flags = record
            _ = try flags.take(8)
            guard try flags.number(1) & 2 == 0 else {
                throw .hdf5Storage("described by an attribute that is kept elsewhere")
            }
        }
        var found: [(name: String, attribute: HDF5Attribute?)] = []
        for message in header.all(.attribute) + dense { found.append(try reader.attribute(message)) }
        found.sort { $0.name < $1.name }
        try checkNames(found.map(\.name))
        return found.compactMap(\.attribute)
    }
}

extension HDF5Reader {
    /// The most bytes of an attribute.
    private static let largestAttribute = 64 << 20

    /// Reads an attribute (IV.A.2.m), versions 1 to 3; nil for one that refers to other objects.
    fileprivate mutating func attribute(
        _ message: HDF5Cursor
    ) throws(UserFacingError) -> (name: String, attribute: HDF5Attribute?) {
        var body = message
        let version = try body.version(1...3)
        let flags = try body.number(1)
        guard version == 1 || flags & 3 == 0 else {
            throw .hdf5Storage("described by an attribute of a named type")
        }
        let sizes = try body.numbers(3, of: 2)
        if version == 3 { _ = try body.take(1) }
        func padded(_ count: Int) -> Int { version == 1 ? (count + 7) / 8 * 8 : count }
        let bytes = try body.take(padded(sizes[0])).prefix(sizes[0])
        guard let end = bytes.firstIndex(of: 0) else {
            throw body.damaged("has a name, and the name does not end where it should")
        }
        let name = String(decoding: bytes[..<end], as: UTF8.self)
        var typeMessage = try body.part(padded(sizes[1]), "an attribute's type")
        var encoded = typeMessage
        let type = try HDF5Datatype(&typeMessage)
        var spaceMessage = try body.part(padded(sizes[2]), "an attribute's shape")
        let space = try HDF5Dataspace(&spaceMessage)
        guard let count = space.count, count <= min(body.left, Self.largestAttribute) / type.size else {
            throw body.damaged("has \(space.shape ?? []) elements of \(type.size) bytes in \(body.left)")
        }
        var data = try body.part(count * type.size, "attribute \(name)")
        let value: HDF5Attribute.Value
        if type.isVariableString {
            var strings: [String] = []
            for _ in 0..<count { strings.append(try string(&data)) }
            value = .text(strings)
        } else if type.isIndirect {
            return (name, nil)
        } else {
            value = .raw(
                type: Array(try encoded.take(encoded.left - typeMessage.left)),
                bytes: Array(try data.take(data.left)))
        }
        return (name, HDF5Attribute(name: name, shape: space.shape, value: value))
    }
}
