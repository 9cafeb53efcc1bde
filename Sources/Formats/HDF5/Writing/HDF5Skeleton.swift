internal import CHDF5
internal import OrderedCollections
internal import Synchronization

/// An HDF5 file being made by the library: groups, attributes, and datasets that have room but no data.
///
/// To be used while nobody else uses the library.
struct HDF5Skeleton: ~Copyable {
    private let file: HDF5Handle
    private let linkCreation: HDF5Handle
    private let groupCreation: HDF5Handle
    private let datasetCreation: HDF5Handle
    private let attributeCreation: HDF5Handle

    /// Begins a file; what is at `path` is lost.
    init(path: String) throws(UserFacingError) {
        guard let creation = HDF5Handle(CHDF5FileCreation()), let access = HDF5Handle(CHDF5FileAccess()),
            let file = unsafe HDF5Handle(H5Fcreate(path, CHDF5Truncate(), creation.id, access.id)),
            let linkCreation = HDF5Handle(CHDF5LinkCreation()),
            let groupCreation = HDF5Handle(CHDF5GroupCreation()),
            let datasetCreation = HDF5Handle(CHDF5DatasetCreation()),
            let attributeCreation = HDF5Handle(CHDF5AttributeCreation())
        else { throw Self.failure("make the file", "") }
        self.file = file
        self.linkCreation = linkCreation
        self.groupCreation = groupCreation
        self.datasetCreation = datasetCreation
        self.attributeCreation = attributeCreation
    }

    /// Makes groups and those on the way to them and to `paths`.
    func addGroups(
        _ groups: OrderedDictionary<String, [HDF5Attribute]>, above paths: [String]
    ) throws(UserFacingError) {
        let ancestors = (groups.keys + paths).flatMap { HDF5Structure.ancestors(of: $0) }
        // A group comes before what is in it.
        for path in Set(groups.keys + ancestors).sorted(by: NaturalOrder.precedes) {
            let group =
                unsafe path.isEmpty
                ? HDF5Handle(H5Gopen2(file.id, "/", CHDF5Default()))
                : HDF5Handle(
                    H5Gcreate2(file.id, path, linkCreation.id, groupCreation.id, CHDF5Default()))
            guard let group else { throw Self.failure("make the group", path) }
            for attribute in groups[path] ?? [] { try add(attribute, to: group, at: path) }
        }
    }

    /// Makes a dataset with room for a tensor.
    ///
    /// - Returns: where its data goes in the file; nil when it has none.
    func addDataset(
        _ path: String, _ tensor: TensorExpression, attributes: [HDF5Attribute]
    ) throws(UserFacingError) -> Int? {
        guard let type = Self.type(of: tensor.type) else { throw .noHDF5Type(name: path, tensor.type) }
        guard let space = Self.space(tensor.shape),
            let dataset = unsafe HDF5Handle(
                H5Dcreate2(
                    file.id, path, type.id, space.id, linkCreation.id, datasetCreation.id, CHDF5Default()))
        else { throw Self.failure("make the dataset", path) }
        for attribute in attributes { try add(attribute, to: dataset, at: path) }
        if tensor.type == .bf16 {
            try add(
                HDF5Attribute(name: HDF5Datatype.markName, text: HDF5Datatype.mark), to: dataset, at: path)
        }
        if tensor.byteCount == 0 { return nil }
        guard let offset = Int(exactly: H5Dget_offset(dataset.id)) else {
            throw Self.failure("make room for", path)
        }
        return offset
    }

    /// Ends the file, so that all of it can be read.
    consuming func finish() throws(UserFacingError) {
        guard H5Fflush(file.id, H5F_SCOPE_GLOBAL) >= 0 else { throw Self.failure("end the file", "") }
    }

    private func add(
        _ attribute: HDF5Attribute, to object: borrowing HDF5Handle, at path: String
    ) throws(UserFacingError) {
        guard let type = attribute.type, let space = Self.space(attribute.shape),
            let made = unsafe HDF5Handle(
                H5Acreate2(
                    object.id, attribute.name, type.id, space.id, attributeCreation.id, CHDF5Default())),
            Self.write(attribute.value, to: made, type) >= 0
        else { throw Self.failure("write attribute \(attribute.name) of", path.isEmpty ? "/" : path) }
    }

    private static func write(
        _ value: HDF5Attribute.Value, to attribute: borrowing HDF5Handle, _ type: borrowing HDF5Handle
    ) -> herr_t {
        switch value {
        case .text(let strings):
            let bytes = strings.flatMap { Array($0.utf8CString) }
            return strings.isEmpty
                ? 0 : unsafe CHDF5WriteStrings(attribute.id, type.id, bytes, strings.count)
        case .raw(_, let bytes):
            return bytes.isEmpty ? 0 : unsafe H5Awrite(attribute.id, type.id, bytes)
        }
    }

    /// Dimensions; nil for none at all.
    private static func space(_ shape: [Int]?) -> HDF5Handle? {
        guard let shape else { return HDF5Handle(H5Screate(H5S_NULL)) }
        if shape.isEmpty { return HDF5Handle(H5Screate(H5S_SCALAR)) }
        return unsafe HDF5Handle(H5Screate_simple(Int32(shape.count), shape.map { hsize_t($0) }, nil))
    }

    /// The type that a tensor's elements have in a file; nil where HDF5 has none.
    private static func type(of type: ElementType) -> HDF5Handle? {
        switch type {
        case .u8, .u16, .u32, .u64: HDF5Handle(CHDF5Integer(type.bits / 8, 0))
        case .i8, .i16, .i32, .i64: HDF5Handle(CHDF5Integer(type.bits / 8, 1))
        case .f16, .f32, .f64: HDF5Handle(CHDF5Float(type.bits / 8))
        // As Keras has it: two bytes without a meaning of their own, and an attribute that says what they are.
        case .bf16: HDF5Handle(H5Tcreate(H5T_OPAQUE, 2))
        case .bool: HDF5Handle(CHDF5Truth())
        default: nil
        }
    }

    private static func failure(_ doing: String, _ path: String) -> UserFacingError {
        .hdf5Failure(doing: doing, path: path, reason: HDF5Library.takeError())
    }
}

extension HDF5Attribute {
    /// The type of its values as the library has it.
    fileprivate var type: HDF5Handle? {
        switch value {
        case .text: HDF5Handle(CHDF5VariableString())
        case .raw(let type, _): unsafe HDF5Handle(H5Tdecode([3, 0] + type))
        }
    }
}

/// libhdf5 as a whole: one lock, since it is not safe on several threads, and its own words for what went wrong.
enum HDF5Library {
    /// Made ready once, with its loading of plug-ins off.
    private static let isReady = CHDF5Initialize() >= 0
    private static let lock = Mutex(())

    /// Does something with the library while nobody else does.
    static func locked<Result, Failure: Error>(
        _ body: () throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        try lock.withLock { _ throws(Failure) in
            _ = isReady
            CHDF5Silence()
            return try body()
        }
    }

    /// The innermost words of the library's last error, which is forgotten then.
    static func takeError() -> String {
        var words = [CChar](repeating: 0, count: 256)
        unsafe words.withUnsafeMutableBufferPointer { buffer in
            if let start = buffer.baseAddress { unsafe CHDF5TakeError(start) }
        }
        let text = String(decoding: words.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return text.isEmpty ? "the library gives no reason" : text
    }
}

/// Something that the library has open, closed when the value goes away, which has to be while the library is locked.
struct HDF5Handle: ~Copyable {
    /// The library's number for it.
    let id: hid_t

    /// Takes over what the library has opened; nil when it could not.
    init?(_ id: hid_t) {
        guard id >= 0 else { return nil }
        self.id = id
    }

    deinit { CHDF5Close(id) }
}
