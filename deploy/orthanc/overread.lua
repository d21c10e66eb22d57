-- Orthanc sends each study to Overread once no image has come for a while (StableAge), and Overread stores its report
-- beside the images. A study that has a report already is not sent again.

function OnStableStudy(study, tags, metadata, origin)
  local series = ParseJson(RestApiGet('/studies/' .. study .. '/series'))
  for _, one in ipairs(series) do
    if one['MainDicomTags']['Manufacturer'] == 'Overread' then
      return
    end
  end
  RestApiPost('/dicom-web/servers/overread/stow', DumpJson({ Resources = { study } }))
end
