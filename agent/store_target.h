// A store on this machine as the agent's target: for tests, and for hosts without an appliance.
#pragma once

#include <memory>
#include <string>

#include "agent/target.h"
#include "images/store/store_key.h"
#include "images/store/store_writer.h"

namespace agent {

class StoreTarget : public Target {
 public:
  // Throws as images::StoreWriter::open: busy if a daemon has the store open.
  StoreTarget(const std::string& directory, const images::KeySource& key);

  std::string description() const override { return "store " + directory_; }
  std::optional<BasePoint> last_point(const std::string& machine_name) override;
  std::unique_ptr<images::PointSink> begin(const images::SyncPlan& plan) override {
    return writer_->begin(plan);
  }

 private:
  std::string directory_;
  std::unique_ptr<images::StoreWriter> writer_;
};

}  // namespace agent
