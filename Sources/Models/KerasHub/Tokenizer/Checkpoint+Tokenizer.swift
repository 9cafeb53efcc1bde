public import Formats

extension Checkpoint {
    /// The files of the model's tokenizer in Hugging Face's terms.
    ///
    /// - Returns: the files, which may be none.
    /// - Throws: ``UserFacingError`` when a preset's tokenizer is of a class that is not known, or not what it should be.
    public func tokenizerFiles() throws(UserFacingError) -> TokenizerFiles {
        let own = TokenizerFiles(of: auxiliaryFiles, path: path)
        if case .library = format, !own.isEmpty { return own }
        // One that could not be brought along says why.
        return try openedPreset.presetTokenizer()?.files ?? own
    }

    /// Refuses a preset's tokenizer that is of a known class, but not what it should be.
    func checkPresetTokenizer() throws(UserFacingError) {
        do { _ = try tokenizerFiles() } catch {
            if error.kind != .unsupported { throw error }
        }
    }

    /// A preset's tokenizer in Hugging Face's terms; nil when it has none, or the model is no preset.
    ///
    /// The one that it was made with is kept beside it, and is it as long as KerasHub's says the same.
    private func presetTokenizer() throws(UserFacingError) -> ConvertedTokenizer? {
        let keras = try KerasTokenizer(of: auxiliaryFiles, path: path)
        let kept = EmbeddedFiles.tokenizer(of: auxiliaryFiles, path: path)
        if !kept.isEmpty {
            guard let keras else { return ConvertedTokenizer(files: kept, roles: []) }
            if let made = try? kept.kerasHub(keras.kind), try keras.hasAssets(made) {
                return ConvertedTokenizer(files: kept, roles: [])
            }
        }
        return try keras?.huggingFace()
    }

    /// The other files with a tokenizer's in place of those that are there; in a KerasHub preset as KerasHub has them.
    ///
    /// - Throws: ``UserFacingError`` when the preset's class can't hold the tokenizer.
    func auxiliaryFiles(with tokenizer: TokenizerFiles) throws(UserFacingError) -> [AuxiliaryFile] {
        var others = auxiliaryFiles
        let kept = EmbeddedFiles.tokenizer(of: auxiliaryFiles, path: path)
        if !kept.isEmpty {
            let old = Set(EmbeddedFiles.kept(kept).map(\.name))
            others = others.filter { !old.contains($0.name) } + EmbeddedFiles.kept(tokenizer)
        }
        guard let keras = try KerasTokenizer(of: auxiliaryFiles, path: path) else {
            return kept.isEmpty ? auxiliaryFiles.replacing(tokenizer: tokenizer) : others
        }
        let made = try tokenizer.kerasHub(keras.kind, like: keras.json)
        return others.compactMap { auxiliaryFile in
            if auxiliaryFile.name == "tokenizer.json" { return made.first { $0.name == auxiliaryFile.name } }
            return auxiliaryFile.name.hasPrefix(KerasTokenizer.folder) ? nil : auxiliaryFile
        } + made.filter { $0.name != "tokenizer.json" }
    }

    /// The class of KerasHub's that a Hugging Face model becomes: of several the one whose tokenizer is of the model's kind.
    ///
    /// Llama 3 is a class of its own, whose tokens are spelled in bytes.
    func kerasFamily() throws(UserFacingError) -> KerasFamily? {
        guard configuration?["class_name"] == nil, let first = KerasFamily.family(of: configuration) else {
            return nil
        }
        guard first.family.kerasHub.count > 1 else { return first }
        let isByteLevel = try TokenizerFiles(of: auxiliaryFiles, path: path).isByteLevel
        let keras = first.family.kerasHub.first {
            KerasTokenizerClass.all(of: $0.name).contains { $0.isBytePair == isByteLevel }
        }
        return keras.map { KerasFamily(family: first.family, keras: $0) } ?? first
    }

    /// Has a preset's tokenizer follow into Hugging Face's terms, and the configuration name its special tokens.
    mutating func convertKerasTokenizer() {
        do {
            guard let converted = try presetTokenizer() else { return }
            auxiliaryFiles.removeAll {
                $0.name == "tokenizer.json" || $0.name.hasPrefix(KerasTokenizer.folder)
            }
            auxiliaryFiles = auxiliaryFiles.replacing(tokenizer: converted.files)
            for (role, id) in converted.roles where role != "unk" {
                configuration?[role + "_token_id"] = JSON(id)
            }
        } catch {
            skippedFiles.append(SkippedFile(name: "tokenizer.json", reason: error.message))
        }
    }

    /// Has a Hugging Face tokenizer follow into KerasHub's terms; it is kept as it is, too, and alone where KerasHub has no
    /// form for it.
    mutating func convertTokenizer(to family: KerasFamily) throws(UserFacingError) {
        let files = TokenizerFiles(of: auxiliaryFiles, path: path)
        if files.isEmpty { return }
        auxiliaryFiles.removeAll { TokenizerFiles.isName($0.name) }
        auxiliaryFiles += EmbeddedFiles.kept(files)
        do throws(UserFacingError) {
            let isByteLevel = try files.isByteLevel
            let kind = KerasTokenizerClass.all(of: family.keras.name).first { $0.isBytePair == isByteLevel }
            guard let kind else {
                throw .noKerasForm(
                    path: path,
                    reason: "a \(family.keras.name) takes "
                        + (isByteLevel ? "SentencePiece's models" : "byte pairs") + " only")
            }
            auxiliaryFiles += try files.kerasHub(kind)
        } catch {
            if error.kind != .unsupported { throw error }
            skippedFiles.append(
                SkippedFile(
                    name: "KerasHub's tokenizer",
                    reason: "\(error.message); Hugging Face's is in \(EmbeddedFiles.folder)"))
        }
    }
}
