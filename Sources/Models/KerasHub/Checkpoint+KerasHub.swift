internal import Formats
internal import OrderedCollections

extension Checkpoint {
    /// A KerasHub preset as Hugging Face has the model: names, shapes, configuration.
    ///
    /// A tokenizer that can't be brought along is left out, and the reason told.
    func asHuggingFace(_ family: KerasFamily) throws(UserFacingError) -> Checkpoint {
        if let obstacle = family.obstacle(in: self) { throw obstacle }
        let layers = try layerCount("num_layers", in: configuration?["config"])
        var taken: Set<String> = []
        var made: OrderedDictionary<String, TensorExpression> = [:]
        places: for place in family.places(layers: layers) {
            var variables: [TensorExpression] = []
            for path in place.paths {
                guard let variable = tensors[path] else {
                    if place.part.isOptional { continue places }
                    throw .missingTensor(path: self.path, tensor: path, family: family.keras.name)
                }
                taken.insert(path)
                variables.append(variable)
            }
            do { made[place.name] = try place.part.tensor(of: variables) } catch {
                throw error.within("tensor '\(place.name)' can't be converted")
            }
        }
        if let extra = tensors.keys.first(where: { !taken.contains($0) }) {
            throw .unexpectedTensor(path: path, tensor: extra, family: family.keras.name)
        }
        // As Hugging Face's own files have them.
        made.sort { $0.key < $1.key }
        var result = self
        result.tensors = made
        result.metadata = ["format": "pt"]
        result.format = .safetensors
        result.configuration = try configuration.map { (preset) throws(UserFacingError) in
            let settings = try family.huggingFace(
                preset, isTied: family.head.map { made[$0] == nil }, type: KerasFamily.typeName(of: self),
                model: path)
            guard let kept = EmbeddedFiles.configuration(of: self) else { return settings }
            return family.updated(kept, by: settings, of: result)
        }
        result.manifest = manifest?.following(made)
        result.convertKerasTokenizer()
        result.leaveKerasFiles()
        return result
    }

    /// A Hugging Face model as KerasHub has it.
    func asKerasHub(_ family: KerasFamily) throws(UserFacingError) -> Checkpoint {
        let layers = try layerCount(of: family)
        let (made, places) = try kerasHubVariables(of: family, layers: layers)
        var structure = HDF5Structure(layout: .keras3, fileName: "model.weights.h5")
        structure.groups["vars"] = [HDF5Attribute(name: "name", text: family.keras.defaultName)]
        for layer in 0..<layers {
            structure.groups[family.keras.path(ofLayer: layer) + "/vars"] = [
                HDF5Attribute(name: "name", text: "transformer_layer_\(layer)")
            ]
        }
        for place in places { structure.add(place) }
        var result = self
        result.tensors = made
        result.metadata = [:]
        result.format = .hdf5(structure)
        result.configuration = try family.preset(self)
        try result.convertTokenizer(to: family)
        result.auxiliaryFiles.removeAll { $0.name == "metadata.json" }
        if let configuration {
            let name = EmbeddedFiles.configurationName
            result.auxiliaryFiles.append(
                AuxiliaryFile(name: name, content: .bytes(configuration.serialized())))
        }
        let metadata: JSON = [
            "keras_version": "3.15.1", "keras_hub_version": "0.32.0",
            "parameter_count": JSON(result.parameterCount),
            "tasks": ["CausalLM"],
        ]
        result.auxiliaryFiles.append(
            AuxiliaryFile(name: "metadata.json", content: .bytes(metadata.serialized(indent: 4))))
        return result
    }

    /// KerasHub's variables of a Hugging Face model by their paths, and the tensors that they are made of.
    ///
    /// - Throws: ``UserFacingError`` when a tensor is missing, has no place in the family, or another shape.
    func kerasHubVariables(
        of family: KerasFamily, layers: Int
    ) throws(UserFacingError) -> (
        variables: OrderedDictionary<String, TensorExpression>, places: [KerasFamily.Place]
    ) {
        let heads = try heads(of: family)
        var taken: Set<String> = []
        var made: OrderedDictionary<String, TensorExpression> = [:]
        var places: [KerasFamily.Place] = []
        for place in family.places(layers: layers) {
            // Files of a bare model leave the prefix out.
            let known = [place.name, place.bareName].first { tensors[$0] != nil }
            guard let known, let tensor = tensors[known] else {
                if place.part.isOptional { continue }
                throw .missingTensor(path: path, tensor: place.name, family: family.keras.architecture)
            }
            taken.insert(known)
            do {
                for (path, variable) in zip(place.paths, try place.part.variables(of: tensor, heads: heads)) {
                    made[path] = variable
                }
            } catch {
                throw error.within("tensor '\(known)' can't be converted")
            }
            places.append(place)
        }
        let ownHead = try ownHead()
        let isTied = ownHead == nil && configuration?.saysTied(family.family) == true
        let extra = tensors.keys.first { name in
            !taken.contains(name) && !family.family.derivedTensors.contains { name.hasSuffix($0) }
                && !(isTied && name == family.head)
        }
        if let extra { throw .unexpectedTensor(path: path, tensor: extra, family: family.keras.architecture) }
        return (made, places)
    }

    /// How many layers a Hugging Face model's configuration gives it.
    func layerCount(of family: KerasFamily) throws(UserFacingError) -> Int {
        try layerCount(family.keras.layerCount, in: configuration?.json)
    }

    /// How many heads a Hugging Face model has.
    func heads(of family: KerasFamily) throws(UserFacingError) -> KerasHeads {
        func setting(_ keras: String) -> Int? {
            family.keras.settings.first { $0.keras == keras }.flatMap { configuration?[$0.huggingFace]?.int }
        }
        guard let query = setting(family.keras.heads), query > 0 else {
            throw .unconvertibleSetting(
                path: path, key: family.keras.heads, found: "nothing", expected: "the number of heads")
        }
        return KerasHeads(query: query, keyValue: setting("num_key_value_heads") ?? query)
    }

    private func layerCount(_ key: String, in settings: JSON?) throws(UserFacingError) -> Int {
        // A layer has at least one tensor.
        guard let count = settings?[key]?.int, count >= 0, count <= tensors.count else {
            throw .unconvertibleSetting(
                path: path, key: key, found: settings?[key]?.kind ?? "nothing",
                expected: "the number of layers")
        }
        return count
    }

    /// Leaves what describes the model to KerasHub alone.
    private mutating func leaveKerasFiles() {
        auxiliaryFiles.removeAll { $0.name.hasPrefix(EmbeddedFiles.folder) }
        let kinds: Set<String> = ["metadata.json", "task.json", "preprocessor.json", "tokenizer.json"]
        for auxiliaryFile in auxiliaryFiles where kinds.contains(auxiliaryFile.name) {
            let bytes = (try? auxiliaryFile.bytes()) ?? []
            let isKeras = (try? JSON(parsing: bytes, file: auxiliaryFile.name))?["class_name"] != nil
            guard auxiliaryFile.name == "metadata.json" || isKeras else { continue }
            auxiliaryFiles.removeAll { $0.name == auxiliaryFile.name }
            skippedFiles.append(SkippedFile(name: auxiliaryFile.name, reason: "what KerasHub alone reads"))
        }
    }
}

extension HDF5Structure {
    /// Adds the groups of a tensor's variables.
    fileprivate mutating func add(_ place: KerasFamily.Place) {
        for group in place.part.groups {
            groups["\(place.layer)\(group.path)/vars"] = [HDF5Attribute(name: "name", text: group.title)]
        }
    }
}
