internal import CHDF5

extension HDF5Attribute {
    /// The most bytes of an attribute that are read.
    private static let largest = 64 << 20

    /// The attributes of an open object by their names; those that refer to other objects are left out.
    static func all(
        _ names: [String], of object: borrowing HDF5Handle, at path: String, file: String,
        heap: inout HDF5Heap
    ) throws(HDF5Error) -> [HDF5Attribute] {
        let id = object.id
        var attributes: [HDF5Attribute] = []
        for name in names {
            if let attribute = try one(name, of: id, at: path, file: file, heap: &heap) {
                attributes.append(attribute)
            }
        }
        return attributes
    }

    private static func failure(_ file: String, _ path: String) -> HDF5Error {
        .library(
            file: file, path: path.isEmpty ? "/" : path, doing: "asked for its attributes",
            reason: HDF5Library.takeError())
    }

    private static func one(
        _ name: String, of object: hid_t, at path: String, file: String, heap: inout HDF5Heap
    ) throws(HDF5Error) -> HDF5Attribute? {
        guard let attribute = unsafe HDF5Handle(H5Aopen(object, name, CHDF5Default())),
            let type = HDF5Handle(H5Aget_type(attribute.id)),
            let space = HDF5Handle(H5Aget_space(attribute.id))
        else { throw failure(file, path) }
        let shape: [Int]?
        if H5Sget_simple_extent_type(space.id) == H5S_NULL {
            shape = nil
        } else {
            guard let found = HDF5Walk.shape(of: space) else { throw failure(file, path) }
            shape = found
        }
        let size = H5Tget_size(type.id)
        let count = shape.flatMap { ElementType.elementCount(shape: $0) } ?? 0
        guard size > 0, count <= largest / size else {
            throw .attribute(
                file: file, path: path, name: name,
                reason: "is larger than \(largest) bytes, which no layout needs")
        }
        try heap.spend(count * size)
        if H5Tis_variable_str(type.id) > 0 {
            guard let references = references(attribute, count: count, size: heap.referenceSize) else {
                throw failure(file, path)
            }
            var strings: [String] = []
            for start in stride(from: 0, to: references.count, by: heap.referenceSize) {
                strings.append(try heap.string(references[start..<start + heap.referenceSize]))
            }
            return HDF5Attribute(name: name, shape: shape, value: .text(strings))
        }
        for unkept in [H5T_REFERENCE, H5T_VLEN] where H5Tdetect_class(type.id, unkept) != 0 { return nil }
        guard let described = encoded(type) else { throw failure(file, path) }
        var bytes = [UInt8](repeating: 0, count: count * size)
        if count > 0 {
            let status = unsafe bytes.withUnsafeMutableBytes {
                unsafe H5Aread(attribute.id, type.id, $0.baseAddress)
            }
            if status < 0 { throw failure(file, path) }
        }
        return HDF5Attribute(name: name, shape: shape, value: .raw(type: described, bytes: bytes))
    }

    /// What the file says of where an attribute's strings lie.
    private static func references(
        _ attribute: borrowing HDF5Handle, count: Int, size: Int
    ) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count * size)
        guard count > 0 else { return bytes }
        guard let type = HDF5Handle(H5Tcreate(H5T_OPAQUE, size)) else { return nil }
        let id = attribute.id
        let status = unsafe bytes.withUnsafeMutableBytes { unsafe H5Aread(id, type.id, $0.baseAddress) }
        return status >= 0 ? bytes : nil
    }

    /// The type as a file's header has it: the library puts two bytes before that.
    private static func encoded(_ type: borrowing HDF5Handle) -> [UInt8]? {
        var count = 0
        guard unsafe H5Tencode(type.id, nil, &count) >= 0, count > 2, count < 65_536 else { return nil }
        var bytes = [UInt8](repeating: 0, count: count)
        let status = unsafe bytes.withUnsafeMutableBytes {
            unsafe H5Tencode(type.id, $0.baseAddress, &count)
        }
        return status >= 0 ? Array(bytes[2...]) : nil
    }
}
