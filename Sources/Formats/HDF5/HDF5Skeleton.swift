internal import CHDF5
internal import OrderedCollections

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
    init(path: String) throws(WriteError) {
        guard let creation = HDF5Handle(CHDF5FileCreation()), let access = HDF5Handle(CHDF5MakingAccess()),
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
    ) throws(WriteError) {
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
    ) throws(WriteError) -> Int? {
        guard let type = HDF5Type.handle(for: tensor.type) else { throw .type(name: path, tensor.type) }
        guard let space = Self.space(tensor.shape),
            let dataset = unsafe HDF5Handle(
                H5Dcreate2(
                    file.id, path, type.id, space.id, linkCreation.id, datasetCreation.id, CHDF5Default()))
        else { throw Self.failure("make the dataset", path) }
        for attribute in attributes { try add(attribute, to: dataset, at: path) }
        if tensor.type == .bf16 {
            try add(HDF5Attribute(name: HDF5Type.markName, text: HDF5Type.mark), to: dataset, at: path)
        }
        if tensor.byteCount == 0 { return nil }
        guard let offset = Int(exactly: H5Dget_offset(dataset.id)) else {
            throw Self.failure("make room for", path)
        }
        return offset
    }

    /// Ends the file, so that all of it can be read.
    consuming func finish() throws(WriteError) {
        guard H5Fflush(file.id, H5F_SCOPE_GLOBAL) >= 0 else { throw Self.failure("end the file", "") }
    }

    private func add(
        _ attribute: HDF5Attribute, to object: borrowing HDF5Handle, at path: String
    ) throws(WriteError) {
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

    private static func failure(_ doing: String, _ path: String) -> WriteError {
        .hdf5(doing: doing, path: path, reason: HDF5Library.takeError())
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
