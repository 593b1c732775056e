// Model names as they are found in the wild, and the family that each tells of.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/model_family.hpp"
#include "support/catch.hpp"

#include <set>
#include <string_view>
#include <utility>

using everpool::detect_model_type;
using everpool::ModelFamily;

TEST_CASE("a model's name tells its family") {
    using enum ModelFamily;
    constexpr std::pair<std::string_view, ModelFamily> table[] = {
        {"bert-base-uncased", text},
        {"BERT", text},
        {"distilbert-base-uncased-finetuned-sst-2-english", text},
        {"BertForSequenceClassification", text},
        {"DistilBertModel", text},
        {"FacebookAI/roberta-large", text},
        {"sentence-transformers/all-MiniLM-L6-v2", text},
        {"t5-small", text},
        {"google/flan-t5-xl", text},
        {"google/mt5-base", text},
        {"Helsinki-NLP/opus-mt-en-de", text},
        {"facebook/bart-large-cnn-samsum", vision}, // a word too many: the user had better say it
        {"gpt2", text},
        {"GPT2LMHeadModel", text},
        {"EleutherAI/gpt-neo-125m", text},
        {"facebook/opt-125m", text},
        {"meta-llama/Llama-3.2-1B", text},
        {"llama3", text},
        {"TinyLlama-1.1B-Chat", text},
        {"microsoft/phi-2", text},
        {"Qwen2.5-0.5B", text},
        {"text_classifier", text},

        {"google/vit-base-patch16-224", vision},
        {"ViTModel", vision},
        {"ViT-B/16", vision},
        {"vit_b_16", vision},
        {"resnet50", vision},
        {"microsoft/resnet-18", vision},
        {"ResNetForImageClassification", vision},
        {"mobilenetv2", vision},
        {"mobilenet_v2", vision},
        {"facebook/dinov2-small", vision},
        {"yolov8n", vision},
        {"yolov8", vision},
        {"facebook/detr-resnet-50", vision},
        {"CLIPVisionModelWithProjection", vision},
        {"small_cnn", vision},

        {"openai/whisper-tiny.en", audio},
        {"WhisperForConditionalGeneration", audio},
        {"facebook/wav2vec2-base-960h", audio},
        {"Wav2Vec2ForCTC", audio},
        {"wav2vec 2.0", audio},
        {"facebook/hubert-base-ls960", audio},
        {"microsoft/speecht5_tts", audio},
        {"laion/clap-htsat-unfused", audio},
        {"audio_conv", audio},

        {"openai/clip-vit-base-patch32", multimodal},
        {"CLIPModel", multimodal},
        {"llava-hf/llava-1.5-7b-hf", multimodal},
        {"LlavaForConditionalGeneration", multimodal},
        {"Salesforce/blip2-opt-2.7b", multimodal},
        {"Qwen/Qwen2-VL-2B", multimodal},
        {"google/siglip-base-patch16-224", multimodal},

        {"", unknown},
        {"-", unknown},
        {"mlp", unknown},
        {"model.onnx", unknown},
        {"habit", unknown},     // no ViT
        {"eclipse", unknown},   // no CLIP
        {"t51", unknown},       // no T5
        {"optimised", unknown}, // no OPT
        {"\xff\xfe\x80", unknown},
    };
    for (const auto& [name, family] : table) {
        CAPTURE(name, name_of(family), name_of(detect_model_type(name)));
        CHECK(detect_model_type(name) == family);
    }
}

// A word that another one before it always hides could go, or stands in the wrong place.
TEST_CASE("each word of the table leads to its own family") {
    for (const auto& entry : everpool::detail::model_words) {
        CAPTURE(entry.words);
        CHECK(detect_model_type(entry.words) == entry.family);
    }
}

TEST_CASE("families have names of their own, and values that logs rely on") {
    std::set<std::string_view> names;
    unsigned value = 0;
    for (const ModelFamily family : everpool::model_families) {
        CHECK(static_cast<unsigned>(family) == value++);
        CHECK(names.insert(name_of(family)).second);
    }
    CHECK(name_of(static_cast<ModelFamily>(value)) == "unrecognised");
}
